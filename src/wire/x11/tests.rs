//! Known answers. Those called `ORACLE` were computed with the crate rs-x11-hash 0.1.8, run apart.

use std::path::PathBuf;

use super::*;
use crate::wire::hash::{hex, unhex};

/// What every hash of the chain but the first is asked: see [`pattern`].
const ORACLE_STAGES: [[&str; 4]; 10] = [
    // bmw512
    [
        "1d020a0d650d43050d966a4d055d1960604bf634eba6b072f085592293a08b66\
         5c25092c8801641fbec7abde9e710bc3ddc98ee69efd4cbcd6c3e82aff0b654b",
        "efe61784ae831d1a817f1d998ce8194c1e8ea4f74cb77f76a977fe29f698e506\
         ca940ab3413af04760390e86473a216510478eb1d17e1faf9faf0e41a58b7ccf",
        "824168671c2e3f35ebba82b63b9e6c42b8411cdcda1041264bb5f50abd507d18\
         27edcfff050f6c8675cb8ccba8699c843dcf5fb81ccadab1deef0d9cf4770257",
        "99ece2405f11d3eee45349b33b7660e87dd7d86bb66a4d6690dbefac09787913\
         bacd63517e22fa21772b1691f7e3a0df7bfa6b87d979b941de815d1fc30f6ca3",
    ],
    // groestl512
    [
        "5a1ddfc31c15994e32cb26d466a2aa0d89d1e6452455eeb1353b203a3169fa97\
         14efe83962c41a670a051ceb5fbba1128f2a288c4adcba70a0aaf4195ed6eb41",
        "3a2e8a048558dc5965c7a46e49955791d5a977195243e52bda69d7f95d88af5b\
         d996fa1c79a51e0e682f91f000432b9919a12293918ccd83a73fee575745978b",
        "6e8c9b90e36cea68c029a7d8b95b718c84205d81be227ba61510f567d46b83ed\
         d11f301bf1e7041be991b22fdbee82dbdce7ab0e0ee42a795ca965a439532a39",
        "024cdf95c4a18535006a48f82ae1c0aceae453beb2a5a3722d0a99a446d188b6\
         c72c4e99632960847ce683f33aff47df7362555f817d70a9b424415a00a7fbd0",
    ],
    // skein512
    [
        "33f7457de06569e7cf5fd1edd50ccfe1d5f166429e75ddbe54a5b7e247030dd9\
         12f0dc5ab6012f59ce9203abd82b316df67d5c6f009a18ba84db030146da99db",
        "fd4a92cbc8e3db82f2138e310e46067f64f74771a8faafc239fb922b90a1498c\
         91a359232cced0a6d74c5c1f87c7010e013d83861bde717d9c8080600e30c1d5",
        "78cfdbdb2bd125f49d26146e208ebc7ceae57619bd68a2e4e9cdb1db198c995e\
         3795fadbccaabb000463525eee2e1e7f6e8309c765a61e19fccdb18f5284c070",
        "269b1e456bf55091d8b228ac68eab7bff30afd6e21fb4ed31446d88533ec8239\
         33139a489519e5d7afab7361513ab9dfbdea83297b6a1f6ee6d38f6ad092b9ec",
    ],
    // jh512
    [
        "511dbfd91df89b720c7b9a209cedd0e0dc86feb104e8d662bcb592b19f5bb301\
         294c7f31fa602b5827a11ec560d9ca8ddf8097ac48fb977999873aaac53474c0",
        "5ab11a01e8f74e27a6fa0a8f7e07a357a9458b9cdd4fabc11373202c7405c903\
         0577dcb20b15c2e7a24be556cd24d8bcd24c62b519fa170b834b7abbdd3d3718",
        "483560d10cadec86db6f390f6267e12f99594587d44c202902e8e4bb6c70c6c7\
         fdff6b19965650e15e240bcfcefe4e5051567ef96c758b800efdcaf50a5d5bbd",
        "d935230db0704f3473df045840280d827c44d0d6bfd942ca33aaaa1d2f1e2bda\
         c0f80870283c6515e8248021c0a74028ec8da576f98b64420cca08dc1860adab",
    ],
    // keccak512
    [
        "a8620b2ebeca41fbc773bb837b5e724d6eb2de570d99858df0d7d97067fb8103\
         b21757873b735097b35d3bea8fd1c359a9e8a63c1540c76c9784cf8d975e995c",
        "b6c47355af4e43e72ef1effe74940e16a4cdc656f55c9786fe0e07e1679699a4\
         356e0843f64ad87c907e71a676e9de797f7d075c5a7786f33983d1767ca87b3c",
        "59bff1edb37c403bea6387e283c5d4d8878246592807d22328fbc11ec1e029cd\
         b6659300529849189ad647fde9ad4a8918202ba310b936ac6a1d477e4284ac4b",
        "44f6cd7d7b32776069b48414384da794494c229b694eec5a854da9a55eb8ad14\
         6de576086506e2a6947f2d6923ef354766e5342c0af66621cb8538214c85542a",
    ],
    // luffa512
    [
        "2ee74681f3a31e89c4a67ee6adceab4f82d8c0f9ed18b345d2f0ef6f55111ba0\
         399eea4fccd0834fd61c70cfe9088ed84e09bec1d64c993ae064351c8740d2bf",
        "38cf6c04e807acc55e876dcb4bc6d4a6a2270ba61071079749113e189f75dee1\
         420fb24684df03e24a03b4aa48627d1264fe0a9b820d406057f80ac0d25a4cd7",
        "a7fa7b1f6efdeebb4eb2d53b28412a4962fa7236c775a0472e97af3035d0cebb\
         794c97465bc89e9d26983a7b0a9283cc716dee3a6083817030dda4a4625f5d00",
        "300c2631a60faed39e4b8e58131f44e8da41518b2b312ea9bd1346f72587087a\
         0cb5825d0a0e399be6cb0f41f195c15e2f6e11e7af34e5e419564510857d9e42",
    ],
    // cubehash512
    [
        "7c94bde03efa0833e7f4f7e5460ca61625bbaa6ee9ea694a65caea30461818bf\
         092a80c0c0be51785a81db7b2ef4d13b246566e1e909996925ac2822c3254c87",
        "9e30218d0e482cecf63e603c76e92d15cfaa2729145a772155f5fd8bea4e5dd8\
         e3b39c006fac405c54a8959640c38b59164b27ed1f37e7d644ff934aaa245946",
        "501336304d235cf9825da6f26623f20cf338c2efa1eac0f668dc1d99a1f67bf6\
         17453a1c861c9628f7b98dd5ca50baf6d75299f13fa43d28d39b40314161135f",
        "20d0a026296d9eef648ad89b7c74d7d407bd6e69de89bbd402182a82f3938f5e\
         d790ec811782d892a1bce7be12a2877bf53c3a8f2a320c7d221aa59f729a3e73",
    ],
    // shavite512
    [
        "5258bbba2322dab1d6ff7306c6e51711542ddbf047a9f979e167b609f836ce3c\
         3931c607127649e7445c5cfc395a4ca2fdcbb335ccc5d84297608c4ef7af777c",
        "78c9d8f00d621fa2a22b16cce7ae88c8059559c6b6d583dcc7568a0127734288\
         7d02578549936b452e5bdb849e091089edea0c2d38fc1c4f0c16ba2793ea5c35",
        "4b53734538b113c1637104887e9f2150fa4ad9ec70552d8ed62f0134a47a2f4e\
         8134b2366932983b4127cbcba59cda04bf6d0005b5ba04dea92879f15e80a28a",
        "67ca85d6a77a098362ce42a9f8ff8820f56e4600192e2c21eb4e0a3bf71f01b9\
         ec11b4f6daac9380eac46d8603e799eef24c705672a998ed06d69c1d773a2285",
    ],
    // simd512
    [
        "6e126736de2303233016911810d61d7d1535f39b196d73d5081937592308bd6e\
         eb706d473be432faae47cff201c67ba6e0a00ac90722fbd477a005ee065ea151",
        "adcab02f6174a6a96282e16de3d358fc2d4878cf9b77f0cbe679a2c2bfd7f344\
         329392c23917503966f356e4455fc11fc27b2ee4c43eed20dd37db9c5df9807f",
        "c09546e438b49f5cd6bd2b51581ad381c14b6d543efc00c193ee94dca4d58b90\
         0c5315985a5eac4571c2141cc995c3bc0233aed662094f3fd2176a9c05bfb4e4",
        "1029f3127405c132fbb824375b21b8d6dd757228d9810ecc65a3787264390f40\
         7bf22fe5f87477963e646095bb323f5f625b239e2eedc7228b02d140e3cc8036",
    ],
    // echo512
    [
        "b94c65978be9a6dd6c6f12b6ef6146cfc5b39e585d824b6bc92d438f28df8586\
         a29d4b1a14de064ce3f67ca27caad4ed35d80a8ad28b85a002647123dc4a98c2",
        "7559c48f9532fc13a6fdafaeed30812c861b5bb13a5e3929b39ee33090dfba1d\
         b69b681fcd92eecb96a3dc674b1917a6090206f39b8fef3330325621814b8950",
        "2f7a64cec7e07c9d791f902b838e9a776c03da43ef8858e89c16bbfa7eff641d\
         5e309d9a51e13177cbb86fb1021070c64763fa93b39824dafd773154cf2ec058",
        "f358a9ef238be1ae825306d098275053a42855ce8d782109332d63dd976c6612\
         36db52364731618982322ca6675e7a8d766282269dfabf355f99e08160ae1af4",
    ],
];

/// What BLAKE-512 answers to the last pattern, cut to so many bytes: around the ends of blocks.
const ORACLE_BLAKE: [(usize, &str); 13] = [
    (
        0,
        "a8cfbbd73726062df0c6864dda65defe58ef0cc52a5625090fa17601e1eecd1b\
         628e94f396ae402a00acc9eab77b4d4c2e852aaaa25a636d80af3fc7913ef5b8",
    ),
    (
        1,
        "e9981939a603890a281a589026fe01ed1c10a12b2f3c634924cf47637f7ff6d5\
         b1aa25b8f0eddb1b0f4228ee16e7b705d52f37802b24acf9dced1bd7dda4354f",
    ),
    (
        80,
        "b010e9112e5d2d0048c138cd52349f8c98e968dc32a77293daa38aeef7174243\
         f8fb50cd6ca028b75e0b762872561988b668237b14368bf77bf0e4e030f23edf",
    ),
    (
        110,
        "4cf8ecf9ee203dbd1588f27dd3045f9b5fe947c82d96be5e62a2e3cfffda5174\
         fc8e597cfefef56768e2ad9a3ae43638fce516767a3ad4699e8207f06c246348",
    ),
    (
        111,
        "bfb0552b00b18deadfcf7deaef7ad5a97f26bdfd707efd9aa7ac7ad8c7a93b08\
         794a2f3550ba307aff48dbdacc361a88957e5f0f193a768bbfa229463dc7c679",
    ),
    (
        112,
        "fec2a4072275b5118077f7ee343f08ecedcd1dbccdcaf9050982af8073b355fd\
         4ef470321ebd77043629157d8e6b4f3888611a41948851d63f987188d367fb2d",
    ),
    (
        127,
        "da996db560be9c266b11f22fddd0bfc6bc5a42d769ad3de8e309fd45f1c376df\
         54398fe926222980367f0ac0af302ef555acea183b2df5cb90c674230dc81520",
    ),
    (
        128,
        "2ed5d1579fc27aef64d884b169ccfb6a1de4c5f78319436c8f4aca0ba55b584f\
         a003f9f288693f12aa990b306fb83baa6728079f17e02b44d760041bc379158c",
    ),
    (
        129,
        "39a365bf4834d5c02c5c5a5c9e00fcb7f9ceed37994edc0bce7d3848ca1f5024\
         ae0fffc10723ebcce05dee1e4fed1f1bdb6f1f0f0fa29743a818983a23099e87",
    ),
    (
        239,
        "891d48a4c334d4747fc6978ed79a6af382232b0ed1daeec606ac17179ccde69c\
         ffb9c8a33269db477df71ff7b80c6b05d10649315bfeef79ef3577fc40b9228e",
    ),
    (
        240,
        "e8e8e4e7346f136e52b9d48cf7e7f0d2e150201e785e76519eda8dac7153e5f8\
         ca775eac0cec9f0bfb4cbee1b2f2530f0fa1187eab1b398a20374fe1bc398ad0",
    ),
    (
        256,
        "941382cd2d8001c01b5be5251f92d0a66914f2d0471234422053870517d83294\
         e44639127d8aa9a38bfc290eb759c3d3b592a257b8d50c697c975d1aed0dc91f",
    ),
    (
        300,
        "78b2648d219e34d639618f5b4e9aaffe81b749de41121698113ba203edeba7dc\
         1fed2f6697ea815f2021ec5724e84e39fddf751c20eab76dde8cb0c42708ef72",
    ),
];

/// What X11 answers to the four patterns of 80 bytes.
const ORACLE_X11: [&str; 4] = [
    "8328846180965bce56f61e015db62af562a611d85e5e721d854c8d97e47a3ea3",
    "95ce0e0084ab91db6bada7a663a7dc7bf2a19ce83e390c1f3c5f3f5802b20e42",
    "412e767aa9a39ee210ea9ce424de4ff5ee35e61a8c27506bc2365ff7d4e3ecce",
    "fb3dd7722485a8833ea87c0c18efec6e98412bbe8be3cddffd3971b6e854ae0a",
];

/// The `kind`-th message of `N` bytes: zeros, ones, counting up, and counting up by 37.
fn pattern<const N: usize>(kind: usize) -> [u8; N] {
    std::array::from_fn(|i| match kind {
        0 => 0,
        1 => 0xff,
        2 => i as u8,
        _ => (37 * i + 11) as u8,
    })
}

/// What explorers show as the id of the block with this header.
fn shown(header: &[u8]) -> String {
    let mut id = x11(header);
    id.reverse();
    hex(&id)
}

#[test]
fn every_stage_gives_the_oracles_answer() {
    for (index, (stage, answers)) in STAGES.iter().zip(ORACLE_STAGES).enumerate() {
        for (kind, answer) in answers.into_iter().enumerate() {
            assert_eq!(hex(&stage(&pattern(kind))), answer, "stage {index}, message {kind}");
        }
    }
}

#[test]
fn blake_gives_the_oracles_answer_whatever_the_length() {
    for (length, answer) in ORACLE_BLAKE {
        assert_eq!(hex(&blake::blake512(&pattern::<300>(3)[..length])), answer, "{length} bytes");
    }
}

/// The example in the specification of BLAKE whose message is one byte of zero.
#[test]
fn blake_gives_the_answer_of_its_specification() {
    let answer = "97961587f6d970faba6d2478045de6d1fabd09b61ae50932054d52bc29d31be4\
                  ff9102b9f69e2bbdb83be13d4b9c06091e5fa0b48bd081b634058be0ec49beb3";
    assert_eq!(hex(&blake::blake512(&[0])), answer);
}

#[test]
fn the_chain_gives_the_oracles_answer() {
    for (kind, answer) in ORACLE_X11.into_iter().enumerate() {
        assert_eq!(hex(&x11(&pattern::<80>(kind))), answer, "message {kind}");
    }
}

/// The first block of the main network whose identity is X11.
#[test]
fn the_genesis_header_has_its_known_id() {
    let mut header = [0; 80];
    let text = "010000000000000000000000000000000000000000000000000000000000000000000000\
                c762a6567f3cc092f0684bb62b7e00a84890b990f07cc71a6bb58d64b98e02e0\
                022ddb52f0ff0f1ec23fb901";
    unhex(text.as_bytes(), &mut header).unwrap();
    assert_eq!(shown(&header), "00000ffd590b1485b3caadc19b22e6379c733355108f107a430458cdf3407ab6");
}

/// Real blocks, which are not part of the checkout: in `$BROADSIDE_VECTORS`, else beside it.
#[test]
fn real_blocks_have_their_known_ids() {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("BROADSIDE_VECTORS").map_or(beside, PathBuf::from);
    for (ending, id) in [
        (
            "-main-providerregister.bin",
            "000000000000002016c49d804e7b5d6ca84663ed032222e9061b2efec302edc3",
        ),
        (
            "-main-providerupdate.bin",
            "000000000000002b22765c44677e7378ae129ef13bce9b715914e5f5f584d054",
        ),
    ] {
        let mut entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        match entries.find(|entry| entry.file_name().to_string_lossy().ends_with(ending)) {
            Some(entry) => assert_eq!(shown(&std::fs::read(entry.path()).unwrap()[..80]), id),
            None => eprintln!(
                "NOT TESTED: no file *{ending} in {}; set BROADSIDE_VECTORS to the folder",
                folder.display()
            ),
        }
    }
}

//! The compression function of SHA-256 (FIPS 180-4, 6.2.2) by the SHA instructions of x86.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_loadu_si128, _mm_set_epi64x, _mm_setzero_si128,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
    _mm_shuffle_epi32, _mm_storeu_si128,
};

/// What is compressed at a time.
pub(super) type Block = [u8; 64];

/// A hash under way, in the order that the instructions want: F E B A, H G D C.
pub(super) type State = [[u32; 4]; 2];

/// The state before the first block (FIPS 180-4, 5.3.3).
pub(super) const START: State = [
    [0x9b05_688c, 0x510e_527f, 0xbb67_ae85, 0x6a09_e667],
    [0x5be0_cd19, 0x1f83_d9ab, 0xa54f_f53a, 0x3c6e_f372],
];

/// The constants of the rounds (FIPS 180-4, 4.2.2), four to a step.
#[rustfmt::skip]
const ROUNDS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

/// Whether this processor has the instructions. Asked once; later calls read the answer.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("ssse3")
}

/// The hash that a state has come to.
pub(super) fn digest(state: &State) -> [u8; 32] {
    let [[f, e, b, a], [h, g, d, c]] = *state;
    let mut bytes = [0; 32];
    for (slot, word) in bytes.as_chunks_mut().0.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *slot = word.to_be_bytes();
    }
    bytes
}

/// Takes into each state its blocks: of all as many as the shortest list has. Returns how many.
///
/// # Panics
/// The processor has no SHA instructions: ask [`is_there`] first.
pub(super) fn compress<const LANES: usize>(
    states: [&mut State; LANES],
    blocks: [&[Block]; LANES],
) -> usize {
    assert!(is_there(), "called without SHA instructions");
    // JUSTIFICATION: the compiler can't know which instructions the processor at hand has.
    // SAFETY: the function asks for nothing but the features named on it. The line above has seen
    // that the processor has them, SSE2 aside, which every x86-64 has. It takes safe references.
    unsafe { compress_by_sha(states, blocks) }
}

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress_by_sha<const LANES: usize>(
    states: [&mut State; LANES],
    blocks: [&[Block]; LANES],
) -> usize {
    // Words are big-endian in a message.
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    let mut abef = [_mm_setzero_si128(); LANES];
    let mut cdgh = abef;
    for lane in 0..LANES {
        (abef[lane], cdgh[lane]) = (load(&states[lane][0]), load(&states[lane][1]));
    }
    #[allow(clippy::needless_range_loop, reason = "the lanes go through their blocks in step")]
    for at in 0..count {
        let before = (abef, cdgh);
        let mut words = [[_mm_setzero_si128(); 4]; LANES];
        for lane in 0..LANES {
            let (quarters, _) = blocks[lane][at].as_chunks::<16>();
            for (slot, bytes) in words[lane].iter_mut().zip(quarters) {
                *slot = _mm_shuffle_epi8(load(bytes), swap);
            }
        }
        // Written out sixteen times: with the step known the words stay in registers.
        macro_rules! steps {
            ($($step:literal)*) => { $(
                let constants = load(&ROUNDS[$step]);
                for lane in 0..LANES {
                    let words = &mut words[lane];
                    if $step >= 4 {
                        words[$step % 4] = schedule(words, $step);
                    }
                    let sum = _mm_add_epi32(words[$step % 4], constants);
                    cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], sum);
                    let sum = _mm_shuffle_epi32::<0x0e>(sum);
                    abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], sum);
                }
            )* };
        }
        steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        for lane in 0..LANES {
            abef[lane] = _mm_add_epi32(abef[lane], before.0[lane]);
            cdgh[lane] = _mm_add_epi32(cdgh[lane], before.1[lane]);
        }
    }
    for (lane, state) in states.into_iter().enumerate() {
        *state = [store(abef[lane]), store(cdgh[lane])];
    }
    count
}

/// The next four words of the message schedule, of the sixteen before them.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn schedule(words: &[__m128i; 4], step: usize) -> __m128i {
    let [a, b, c, d] = std::array::from_fn(|at| words[(step + at) % 4]);
    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8::<4>(d, c));
    _mm_sha256msg2_epu32(sum, d)
}

/// What may be loaded and stored as one register: 16 bytes without padding, all values allowed.
trait Register: Copy {}
impl Register for [u8; 16] {}
impl Register for [u32; 4] {}

#[inline]
#[target_feature(enable = "sse2")]
fn load<T: Register>(from: &T) -> __m128i {
    const { assert!(size_of::<T>() == size_of::<__m128i>()) };
    // SAFETY: a reference is good for reading all of its type, which is 16 bytes, checked above;
    // the types of the trait have no padding; this load asks for no alignment.
    unsafe { _mm_loadu_si128(std::ptr::from_ref(from).cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn store(from: __m128i) -> [u32; 4] {
    let mut words = [0; 4];
    // SAFETY: the array is ours, 16 bytes long, and this store asks for no alignment.
    unsafe { _mm_storeu_si128((&raw mut words).cast(), from) };
    words
}

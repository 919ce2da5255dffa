// Reads one block with other people's libraries and prints what it says, as JSON.
//
//   node read.cjs COIN FILE NONCE      NODE_PATH names the folder with the libraries
//
// Nothing here is taken from broadside: transactions, AuxPoW and X11 are bitcore-lib-doge's and
// dashcore-lib's, scrypt is scrypt-js's, SipHash is siphash's. The compact block is put together here
// from their parts, by the text of BIP 152.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const scrypt = require("scrypt-js");
const siphash = require("siphash");

const [coin, file, nonceText] = process.argv.slice(2);
const raw = fs.readFileSync(file);
const library = { dogecoin: "bitcore-lib-doge", dash: "@dashevo/dashcore-lib" }[coin];
const lib = require(library);

const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest();
const sha256d = (bytes) => sha256(sha256(bytes));
const display = (bytes) => Buffer.from(bytes).reverse().toString("hex");

function compactSize(value) {
  if (value < 0xfd) return Buffer.from([value]);
  const out = Buffer.alloc(3);
  out[0] = 0xfd;
  out.writeUInt16LE(value, 1);
  return out;
}

const result = { hash: null, transactions: [] };
let headerEnd = 80;
let transactions;
if (coin === "dogecoin") {
  const version = raw.readInt32LE(0);
  result.hash = display(sha256d(raw.subarray(0, 80)));
  let work = raw.subarray(0, 80);
  if (version & 0x100) {
    // Read step by step with the library's own reader and transaction: its AuxPow class keeps no ends.
    const reader = new lib.encoding.BufferReader(raw);
    reader.pos = 80;
    const coinbase = new lib.Transaction().fromBufferReader(reader);
    reader.read(32);
    const branch = [];
    for (let left = reader.readVarintNum(); left > 0; left--) branch.push(reader.read(32));
    reader.readInt32LE();
    const chainBranch = [];
    for (let left = reader.readVarintNum(); left > 0; left--) chainBranch.push(reader.read(32));
    const chainIndex = reader.readInt32LE();
    work = reader.read(80);
    headerEnd = reader.pos;
    const up = (hash, other, isRight) =>
      sha256d(isRight ? Buffer.concat([other, hash]) : Buffer.concat([hash, other]));
    let root = sha256d(coinbase.toBuffer());
    for (const other of branch) root = up(root, other, false);
    let chainRoot = sha256d(raw.subarray(0, 80));
    chainBranch.forEach((other, at) => (chainRoot = up(chainRoot, other, (chainIndex >> at) & 1)));
    const script = coinbase.inputs[0].toBufferWriter().toBuffer().toString("hex");
    result.proof = {
      branch: branch.length,
      chain_branch: chainBranch.length,
      chain_index: chainIndex,
      coinbase: coinbase.id || coinbase.hash,
      parent: display(sha256d(work)),
      holds: root.equals(work.subarray(36, 68)),
      committed: script.includes(display(chainRoot)),
    };
  }
  result.work = display(Buffer.from(scrypt.syncScrypt(work, work, 1024, 1, 1, 32)));
  const reader = new lib.encoding.BufferReader(raw);
  reader.pos = headerEnd;
  transactions = [];
  for (let left = reader.readVarintNum(); left > 0; left--) {
    transactions.push(new lib.Transaction().fromBufferReader(reader));
  }
  result.rest = raw.length - reader.pos;
} else {
  const block = new lib.Block(raw);
  result.hash = block.header.hash;
  result.work = block.header.hash;
  result.merkle_root_holds = block.validMerkleRoot();
  transactions = block.transactions;
  result.types = transactions.map((it) => it.type || 0);
  result.rest = raw.length - block.toBuffer().length;
}
result.header_bytes = headerEnd;
result.transactions = transactions.map((it) => it.id);

// BIP 152, version 1: ids are txids; the header is hashed with its proof.
const header = raw.subarray(0, headerEnd);
const nonce = Buffer.alloc(8);
nonce.writeBigUInt64LE(BigInt(nonceText));
const seed = sha256(Buffer.concat([header, nonce]));
// Low and high half of each of the two keys.
const key = [0, 4, 8, 12].map((at) => seed.readUInt32LE(at));
const ids = transactions.slice(1).map((it) => {
  const id = Buffer.from(it.id, "hex").reverse();
  const { h, l } = siphash.hash(key, new Uint8Array(id));
  const out = Buffer.alloc(8);
  out.writeUInt32LE(l >>> 0, 0);
  out.writeUInt32LE(h >>> 0, 4);
  return out.subarray(0, 6);
});
const compact = Buffer.concat([
  header, nonce, compactSize(ids.length), ...ids,
  Buffer.from([1, 0]), transactions[0].toBuffer(),
]);
result.compact = compact.toString("hex");
console.log(JSON.stringify(result));

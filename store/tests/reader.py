"""Reads a store by spec/store/format.md alone and says what `stagecraft store verify` says. Usage: reader.py STORE"""
import os, struct, sys
IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
ORDER, M = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8], 0xFFFFFFFF
MIX = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
def compress(cv, m, counter, length, flags):
    v = cv + IV[:4] + [counter & M, counter >> 32, length, flags]
    turn = lambda x, n: (x >> n | x << 32 - n) & M
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(MIX):
            for word, x, y in ((m[2 * i], 16, 12), (m[2 * i + 1], 8, 7)):
                v[a] = v[a] + v[b] + word & M
                v[d] = turn(v[d] ^ v[a], x)
                v[c] = v[c] + v[d] & M
                v[b] = turn(v[b] ^ v[c], y)
        m = [m[i] for i in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)]
def node(data, counter, root):
    if len(data) > 1024:
        left = 1 << ((len(data) - 1) // 1024).bit_length() - 1
        pair = node(data[:left * 1024], counter, 0) + node(data[left * 1024:], counter + left, 0)
        return compress(IV, pair, 0, 64, 4 | root)
    cv, blocks = IV, [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        words = list(struct.unpack("<16I", block.ljust(64, b"\0")))
        cv = compress(cv, words, counter, len(block), (i == 0) | (2 | root if last else 0))
    return cv
def blake3(data):  # R1
    return struct.pack("<8I", *node(data, 0, 8)).hex()
def load(path):
    with open(path, "rb") as file:
        return file.read()
def fields(data):  # protobuf, R5
    at = 0
    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128: return value
    while at < len(data):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        yield tag >> 3, value
def directory(data):  # R6: name -> (kind, digest or target, size, executable)
    found = {}
    for kind, entry in fields(data):
        entry = dict(fields(entry))
        digest = dict(fields(entry[2])) if kind < 3 else {1: entry[2]}
        found[entry[1].decode()] = (kind, digest[1].decode(), digest.get(2, 0), entry.get(4, 0))
    return found
layout = os.path.join(sys.argv[1], "v1")
assert load(layout + "/FORMAT") == b"stagecraft store 1\ndigest blake3\n"  # R10
damage, count, sizes = [], {"objects": 0, "bytes": 0, "records": 0, "trees": 0}, {"cas": {blake3(b""): 0}, "casx": {}}
def area(name):
    for shard in sorted(os.listdir(f"{layout}/{name}")) if os.path.isdir(f"{layout}/{name}") else []:
        for rest in sorted(os.listdir(f"{layout}/{name}/{shard}")):
            yield f"{name}/{shard}/{rest}", shard + rest, load(f"{layout}/{name}/{shard}/{rest}")
for name in ("cas", "casx"):  # R11, R12
    for path, digest, data in area(name):
        count["objects"], count["bytes"] = count["objects"] + 1, count["bytes"] + len(data)
        if blake3(data) == digest: sizes[name][digest] = len(data)
        else: damage.append(path)
def blob(digest): return load(f"{layout}/cas/{digest[:2]}/{digest[2:]}") if digest != blake3(b"") else b""
def whole(kind, digest, size=None):  # kind 2 is a directory, 1 a file, 3 a symlink
    if kind == 3: return True
    if digest not in sizes["cas"] or size not in (None, sizes["cas"][digest]): return False
    return kind == 1 or all(whole(*entry[:3]) for entry in directory(blob(digest)).values())
def record(line, data):  # R13
    return data[len(line):-32] if data.startswith(line) and blake3(data[:-32]) == data[-32:].hex() else b""
def object_at(body, at): return body[at:at + 32].hex(), struct.unpack_from("<Q", body, at + 32)[0]
def result(key, data):  # R15
    body = record(b"stagecraft result 1\n", data)
    return body[:32].hex() == key and all(whole(kind, *object_at(body, at)) for kind, at in ((2, 64), (1, 104), (1, 144)))
good = {key: result(key, data) for _, key, data in area("results")}
def root(name, data):  # R17
    body, at = record(b"stagecraft root 1\n", data), 8 + len(name) + 8
    if body[8:8 + len(name)].decode() != name: return False
    found = [(body[at + 33 * i], body[at + 33 * i + 1:at + 33 * i + 33].hex()) for i in range(struct.unpack_from("<Q", body, at - 8)[0])]
    return all(good.get(digest, False) if kind == 2 else whole(kind + 1, digest) for kind, digest in found)
checks = [(path, good[key]) for path, key, _ in area("results")]
for path, key, data in area("history"):  # R16
    body = record(b"stagecraft history 1\n", data)
    checks.append((path, body[:32].hex() == key and whole(1, body[32:64].hex())))
for top, _, names in os.walk(layout + "/roots"):  # R14
    for path in (os.path.relpath(os.path.join(top, name), layout) for name in names):
        checks.append((path, root(path[6:-5], load(f"{layout}/{path}"))))
count["records"], count["trees"] = len(checks), len(os.listdir(layout + "/trees"))
damage += [path for path, is_good in checks if not is_good]
print("\n".join([f"{name} {number}" for name, number in count.items()] + [f"damaged {path}" for path in sorted(damage)]))

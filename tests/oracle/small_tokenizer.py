"""SentencePiece BPE in thirty lines, from llama2.c's tokenizer.bin, so that the tests on real models
need no tokenizer of ours."""
import struct


def read_pieces(path):
    """llama2.c's tokenizer.bin: the longest piece's length, then score, length and bytes of each piece."""
    with open(path, "rb") as file:
        raw = file.read()
    pieces, at = [], 4
    while at < len(raw):
        score, length = struct.unpack_from("<fi", raw, at)
        pieces.append((raw[at + 8:at + 8 + length], score))
        at += 8 + length
    return pieces


def encode(pieces, text, begin=True):
    """Ids of a text: characters, then again and again the best-scored pair of neighbours that is a piece, leftmost on ties."""
    ids = {}
    for index, (piece, _) in enumerate(pieces):
        ids.setdefault(piece, index)
    symbols = []
    for character in " " + text:
        raw = character.encode()
        symbols += [ids[raw]] if raw in ids else [byte + 3 for byte in raw]
    while True:
        best, where = None, -1
        for index in range(len(symbols) - 1):
            merged = ids.get(pieces[symbols[index]][0] + pieces[symbols[index + 1]][0])
            if merged is not None and (best is None or pieces[merged][1] > pieces[best][1]):
                best, where = merged, index
        if best is None:
            return ([1] if begin else []) + symbols
        symbols[where:where + 2] = [best]


def decode(pieces, tokens):
    out = b""
    for token in tokens:
        piece = pieces[token][0]
        if len(piece) == 6 and piece.startswith(b"<0x"):
            piece = bytes([int(piece[3:5], 16)])
        out += piece
    return out.decode(errors="replace").lstrip(" ")

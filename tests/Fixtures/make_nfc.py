"""Makes nfc.json (random texts and their normalization form C) and, with --data, CanonicalData.cs's two tables.

    python make_nfc.py [--data]        # Unicode 14, as Python 3.11 has it
"""
import json, os, random, sys, textwrap, unicodedata

def canonical(code):
    decomposition = unicodedata.decomposition(chr(code))
    return decomposition.split() if decomposition and decomposition[0] != "<" else []

SYLLABLES, SURROGATES = range(0xAC00, 0xD7A4), range(0xD800, 0xE000)
CODES = [c for c in range(0x110000) if c not in SURROGATES]

def texts(count=400, seed=5):
    random.seed(seed)
    composed = [c for c in CODES if c not in SYLLABLES and canonical(c)]
    parts = sorted({int(p, 16) for c in composed for p in canonical(c)})
    marks = [c for c in CODES if unicodedata.combining(chr(c))]
    pools = [composed, parts, marks, range(0x300, 0x330), range(0x41, 0x7B), range(0x1100, 0x1113), range(0x1161, 0x1176), range(0x11A7, 0x11C3), SYLLABLES]
    letters_and_marks = [range(0x41, 0x7B), range(0x300, 0x330), range(0x300, 0x330)]      # many marks that stand in each other's way
    return ["".join(chr(random.choice(random.choice(pools if i % 2 else letters_and_marks))) for _ in range(random.randrange(2, 12)))
            for i in range(count)]

def tables():
    entries = [f"{c:X}{'!' if unicodedata.normalize('NFC', chr(c)) != chr(c) else ''}:{'+'.join(p.lstrip('0') for p in canonical(c))}"
               for c in CODES if c not in SYLLABLES and canonical(c)]
    ranges = []
    for c in CODES:
        k = unicodedata.combining(chr(c))
        if not k: continue
        if ranges and ranges[-1][1:] == [c - 1, k]: ranges[-1][1] = c
        else: ranges.append([c, c, k])
    classes = [(f"{a:X}" if a == b else f"{a:X}-{b:X}") + f":{k}" for a, b, k in ranges]
    return ["\n".join(textwrap.wrap(" ".join(t), 112, break_long_words=False, break_on_hyphens=False)) for t in (entries, classes)]

if "--data" in sys.argv: print("\n\n".join(tables()))
else:
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "nfc.json"), "w", newline="\n") as f:
        json.dump([[t, unicodedata.normalize("NFC", t)] for t in texts()], f, indent=0)
        f.write("\n")

"""Makes nfc.json (random texts and their normalization form C) and forms.json (texts and their forms D, KC and KD);
with --data, CanonicalData.cs's two tables and CompatibilityData.cs's one.

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

def compatible(code):
    decomposition = unicodedata.decomposition(chr(code))
    return [int(p, 16) for p in decomposition.split()[1:]] if decomposition.startswith("<") else []

def mixed_texts(count=300, seed=6):
    """Texts half of whose characters have a compatibility decomposition."""
    random.seed(seed)
    pool = [c for c in CODES if compatible(c)]
    return ["".join(chr(random.choice(pool)) if random.random() < .5 else random.choice(t) for _ in range(8)) for t in texts(count, seed)]

def compatibility_table():
    """Ranges of characters that decompose to consecutive ones are one entry: 1D400-1D419:41."""
    entries = []
    for c in CODES:
        parts = compatible(c)
        if not parts: continue
        last = entries[-1] if entries else None
        if last and len(parts) == 1 and len(last[2]) == 1 and last[1] == c - 1 and last[2][0] + c - last[0] == parts[0]: last[1] = c
        else: entries.append([c, c, parts])
    words = [(f"{a:X}" if a == b else f"{a:X}-{b:X}") + ":" + "+".join(f"{p:X}" for p in parts) for a, b, parts in entries]
    return "\n".join(textwrap.wrap(" ".join(words), 112, break_long_words=False, break_on_hyphens=False))

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

if "--data" in sys.argv: print("\n\n".join([*tables(), compatibility_table()]))
else:
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "forms.json"), "w", newline="\n") as f:
        json.dump([[t, *(unicodedata.normalize(form, t) for form in ("NFD", "NFKC", "NFKD"))] for t in mixed_texts()], f, indent=0)
        f.write("\n")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "nfc.json"), "w", newline="\n") as f:
        json.dump([[t, unicodedata.normalize("NFC", t)] for t in texts()], f, indent=0)
        f.write("\n")

"""Makes metrics/bleu_references.json: what sacrebleu 2.6.0 gives where references are empty or absent, and its paired
bootstrap of two systems that hardly differ. sacrebleu is imported from the folder given (a checkout of its tag v2.6.0):

    python3 make_bleu_references.py path/to/sacrebleu

NumPy draws the bootstrap's samples: its numbers are to be met to a few per cent only.
"""
import json
import os
import sys
import types

for name in ("portalocker", "tabulate", "colorama", "lxml", "lxml.etree"):  # of its command line, not of its metrics
    sys.modules.setdefault(name, types.ModuleType(name))
sys.modules["tabulate"].tabulate = None
sys.modules["lxml"].etree = sys.modules["lxml.etree"]
try:
    import regex  # of the tokenizer 'intl' only
except ImportError:
    import re
    sys.modules["regex"] = re
version = types.ModuleType("sacrebleu.version")
version.__version__ = "2.6.0"
sys.modules["sacrebleu.version"] = version
sys.path.insert(0, sys.argv[1])

from sacrebleu.metrics import BLEU  # noqa: E402
from sacrebleu.significance import PairedTest  # noqa: E402

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics")
CASES = [
    ("one empty of three", ["the cat", "a b c d e", "one two three four"], [["the cat", "", "one two three four"]]),
    ("all empty", ["a", "b"], [["", ""]]),
    ("empty on both sides", ["", "one two three four five"], [["", "one two three four five"]]),
    ("blank", ["one two three four", "x"], [["one two three four", "  "]]),
    ("empty in the second stream", ["one two three four five", "six seven eight nine"],
     [["one two three four five", "six seven eight nine"], ["", "six"]]),
    ("empty in the second stream, closer", ["one", "six seven eight nine"],
     [["one two three four five", "six seven eight nine"], ["", "six"]]),
    ("absent in the second stream", ["one two three four five", "six seven eight nine"],
     [["one two three four five", "six seven eight nine"], [None, "six"]]),
    ("absent in the first of two", ["one two", "six seven eight nine"], [["one two three", None], [None, "six seven eight nine"]]),
]


def row(name, hypotheses, references, **options):
    metric = BLEU(**options)
    try:
        score = metric.corpus_score(hypotheses, references)
    except RuntimeError:
        return None
    return {"name": name, "hypotheses": hypotheses, "references": references, "effective_order": metric.effective_order,
            "score": score.score, "bp": score.bp, "counts": score.counts, "totals": score.totals, "length": score.sys_len,
            "reference_length": score.ref_len, "signature": str(metric.get_signature())}


rows = [found for case in CASES for effective in (False, True) if (found := row(*case, effective_order=effective))]
sets = json.load(open(os.path.join(HERE, "sets.json"), encoding="utf-8"))["english"]
hypotheses, references = sets["hypotheses"], sets["references"]
other = list(hypotheses)
for index in range(0, len(other), 9):  # some texts lose their third word, some gain the reference's words
    words = other[index].split()
    other[index] = " ".join(words[:2] + words[3:]) if index % 2 else references[0][index]
_, scores = PairedTest([("baseline", hypotheses), ("other", other)], {"BLEU": BLEU(references=references)}, references=None,
                       test_type="bs", n_samples=10000)()
bootstrap = {"set": "english", "other": other, "scores": [score.score for score in scores["BLEU"]],
             "p_value": scores["BLEU"][1].p_value}
with open(os.path.join(HERE, "bleu_references.json"), "w", encoding="utf-8") as file:
    json.dump({"made_by": "sacrebleu 2.6.0", "rows": rows, "paired_bootstrap": bootstrap}, file, indent=1, ensure_ascii=False)
    file.write("\n")

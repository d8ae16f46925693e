#!/usr/bin/python3
"""PyTorch side of the recurrence comparison: the encoder of the hybrid model, forward and backward, CPU.

  /usr/bin/python3 torch_lstm.py --threads 2
A 2-layer bidirectional LSTM, input 64, hidden 128 a side, 16 rows of 256 steps; gradients of weights and input.
Prints one JSON line: {"params", "forward_ms", "backward_ms", "step_ms"}, each the best of several.
"""
import argparse, json, time, torch
p = argparse.ArgumentParser(); p.add_argument("--threads", type=int, default=2); p.add_argument("--repeats", type=int, default=8)
a = p.parse_args(); torch.set_num_threads(a.threads); torch.manual_seed(0)
m = torch.nn.LSTM(64, 128, 2, bidirectional=True, batch_first=True); x = torch.randn(16, 256, 64, requires_grad=True); f, b = [], []
for r in range(a.repeats + 2):
    m.zero_grad(set_to_none=True); x.grad = None
    t = time.perf_counter(); y = m(x)[0]; u = time.perf_counter(); y.sum().backward(); v = time.perf_counter()
    if r >= 2: f.append(u - t); b.append(v - u)
print(json.dumps(dict(params=sum(q.numel() for q in m.parameters()), forward_ms=round(min(f) * 1e3, 2), backward_ms=round(min(b) * 1e3, 2),
    step_ms=round(min(i + j for i, j in zip(f, b)) * 1e3, 2))))

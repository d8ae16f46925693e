"""Tiny checkpoints of families with experts, and what their equations give: OLMoE, Qwen2-MoE, GLM-4-MoE, gpt-oss; and the same in 8-bit
and 4-bit floats.

    python make_moe_families.py          (needs torch and numpy; writes folders beside this script and in ../quantized)

The forward passes are transcriptions, in float64, of how transformers 5 computes these families: written down from what it documents
and does, not with it. A folder has config.json, model.safetensors and expected.safetensors, laid out as `tessera verify` reads them.
"""
import json, math, os, struct
import numpy as np, torch

HERE = os.path.dirname(os.path.abspath(__file__))
V, D = 16, 16
torch.set_default_dtype(torch.float64)
KINDS = {"float32": "F32", "int32": "I32", "uint8": "U8"}


class E4M3(np.ndarray):
    """Bytes that are 8-bit floats."""


def save(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        a = t.detach().numpy() if isinstance(t, torch.Tensor) else t
        kind = "F8_E4M3" if isinstance(a, E4M3) else None
        a = np.ascontiguousarray(a)
        if a.dtype.kind == "f": a = a.astype(np.float32)
        if a.dtype.kind == "i": a = a.astype(np.int32)
        header[name] = dict(dtype=kind or KINDS[a.dtype.name], shape=list(a.shape), data_offsets=[len(data), len(data) + a.nbytes])
        data += a.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f: f.write(struct.pack("<Q", len(text)) + text + data)


class Weights:
    """Draws each tensor when the model first asks for it, so that the model says which there are."""
    def __init__(self, seed): self.g, self.all = torch.Generator().manual_seed(seed), {}

    def __call__(self, name, *shape, mean=0.0, scale=None):
        if name not in self.all:
            scale = scale if scale is not None else 1 / math.sqrt(shape[-1])
            self.all[name] = (mean + scale * torch.randn(*shape, generator=self.g)).float().double().requires_grad_()
        return self.all[name]


silu = torch.nn.functional.silu


def rms(x, w, eps): return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * w


def linear(W, name, x, out, bias=False):
    y = x @ W(name + ".weight", out, x.shape[-1]).T
    return y + W(name + ".bias", out, scale=0.1) if bias else y


def frequencies(c, width):
    """Inverse frequencies and the factor of sines and cosines."""
    r = c["rope_parameters"]
    plain = torch.tensor([r["rope_theta"] ** (-2 * i / width) for i in range(width // 2)])
    if r["rope_type"] == "default": return plain, 1.0
    assert r["rope_type"] == "yarn"
    place = lambda turns: width * math.log(r["original_max_position_embeddings"] / (turns * 2 * math.pi)) / (2 * math.log(r["rope_theta"]))
    low, high = place(r["beta_fast"]), place(r["beta_slow"])
    if r.get("truncate", True): low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    ramp = torch.clamp((torch.arange(width // 2) - low) / ((high - low) or 0.001), 0, 1)
    return plain / r["factor"] * ramp + plain * (1 - ramp), 0.1 * math.log(r["factor"]) + 1


def rotate(x, c):
    """x [B, T, H, W]: the first elements of a head are turned, the first half of them with the second."""
    width = int(x.shape[-1] * c["rope_parameters"].get("partial_rotary_factor", 1))
    turned, rest = x[..., :width], x[..., width:]
    inverse, magnitude = frequencies(c, width)
    angle = torch.arange(x.shape[1])[:, None] * inverse[None]
    cos, sin = (magnitude * angle.cos())[None, :, None], (magnitude * angle.sin())[None, :, None]
    a, b = turned[..., :width // 2], turned[..., width // 2:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)


def attend(q, k, v, scale, window=None, sinks=None):
    """q [B, T, H, W], k and v [B, T, K, W]; sinks [H] are one score more in each row, which has no value."""
    T, repeat = q.shape[1], q.shape[2] // k.shape[2]
    k, v = k.repeat_interleave(repeat, 2), v.repeat_interleave(repeat, 2)
    s = torch.einsum("bihw,bjhw->bhij", q, k) * scale
    i, j = torch.arange(T)[:, None], torch.arange(T)[None]
    seen = (j <= i) if window is None else (j <= i) & (j > i - window)
    s = s.masked_fill(~seen, -math.inf)
    if sinks is not None: s = torch.cat([s, sinks.view(1, -1, 1, 1).expand(s.shape[0], -1, T, 1)], -1)
    return torch.einsum("bhij,bjhw->bihw", s.softmax(-1)[..., :T], v).flatten(2)


def swiglu(W, p, x, hidden):
    return linear(W, p + "down_proj", silu(linear(W, p + "gate_proj", x, hidden)) * linear(W, p + "up_proj", x, hidden), x.shape[-1])


def mixture(x, experts, chosen, gates, expert):
    """chosen [N, k], gates [N, k]"""
    y = torch.zeros_like(x)
    for e in range(experts): y = y + (gates * (chosen == e)).sum(-1, keepdim=True) * expert(e, x)
    return y


def softmax_experts(c, W, p, h):
    x = h.flatten(0, 1)
    gates, chosen = linear(W, p + "gate", x, c["num_experts"]).softmax(-1).topk(c["num_experts_per_tok"], -1)
    if c["norm_topk_prob"]: gates = gates / gates.sum(-1, keepdim=True)
    hidden = c.get("moe_intermediate_size") or c["intermediate_size"]
    return mixture(x, c["num_experts"], chosen, gates, lambda e, t: swiglu(W, f"{p}experts.{e}.", t, hidden)).view_as(h)


def sigmoid_experts(c, W, p, h):
    x, e = h.flatten(0, 1), c["n_routed_experts"]
    scores = linear(W, p + "gate", x, e).sigmoid()
    steered = scores.detach() + W(p + "gate.e_score_correction_bias", e, scale=0.3).detach()
    cut = steered.view(-1, c["n_group"], e // c["n_group"])
    kept = cut.topk(2, -1)[0].sum(-1).topk(c["topk_group"], -1)[1]
    mask = torch.zeros(cut.shape[:2], dtype=torch.bool).scatter(1, kept, True)
    chosen = cut.masked_fill(~mask[..., None], -math.inf).view(-1, e).topk(c["num_experts_per_tok"], -1)[1]
    gates = scores.gather(1, chosen)
    if c["norm_topk_prob"]: gates = gates / gates.sum(-1, keepdim=True)
    y = mixture(x, e, chosen, gates * c["routed_scaling_factor"], lambda i, t: swiglu(W, f"{p}experts.{i}.", t, c["moe_intermediate_size"]))
    return y.view_as(h) + swiglu(W, p + "shared_experts.", h, c["moe_intermediate_size"] * c["n_shared_experts"])


def gpt_oss_experts(c, W, p, h):
    """Matrices [inputs, outputs]; gates are even columns, ups odd ones; a softmax over the chosen scores."""
    x, e, hidden = h.flatten(0, 1), c["num_local_experts"], c["intermediate_size"]
    d = x.shape[-1]
    best, chosen = linear(W, p + "router", x, e, bias=True).topk(c["num_experts_per_tok"], -1)
    both, both_bias = W(p + "experts.gate_up_proj", e, d, 2 * hidden, scale=1.5 / math.sqrt(d)), W(p + "experts.gate_up_proj_bias", e, 2 * hidden, scale=0.3)
    down, down_bias = W(p + "experts.down_proj", e, hidden, d, scale=1 / math.sqrt(hidden)), W(p + "experts.down_proj_bias", e, d, scale=0.3)
    alpha, limit = c.get("swiglu_alpha", 1.702), c.get("swiglu_limit", 7.0)

    def expert(i, t):
        t = t @ both[i] + both_bias[i]
        gate, up = t[..., ::2].clamp(max=limit), t[..., 1::2].clamp(-limit, limit)
        return (up + 1) * gate * torch.sigmoid(alpha * gate) @ down[i] + down_bias[i]
    return mixture(x, e, chosen, best.softmax(-1), expert).view_as(h)


def feed_forward(c, W, p, h, l):
    kind = c["model_type"]
    if kind == "gpt_oss": return gpt_oss_experts(c, W, p, h)
    if kind == "olmoe": return softmax_experts(c, W, p, h)
    if kind == "glm4_moe" and l >= c["first_k_dense_replace"]: return sigmoid_experts(c, W, p, h)
    if kind == "qwen2_moe" and l not in c["mlp_only_layers"] and (l + 1) % c["decoder_sparse_step"] == 0:
        shared = swiglu(W, p + "shared_expert.", h, c["shared_expert_intermediate_size"])
        return softmax_experts(c, W, p, h) + linear(W, p + "shared_expert_gate", h, 1).sigmoid() * shared
    return swiglu(W, p, h, c["intermediate_size"])


def window(c, l):
    if c["model_type"] == "gpt_oss": types = c.get("layer_types") or ["sliding_attention" if i % 2 == 0 else "full_attention" for i in range(c["num_hidden_layers"])]
    elif c.get("use_sliding_window"): types = c["layer_types"]
    else: return None
    return c["sliding_window"] if types[l] == "sliding_attention" else None


def layer(c, W, p, x, l):
    kind, heads, groups, eps = c["model_type"], c["num_attention_heads"], c["num_key_value_heads"], c["rms_norm_eps"]
    d = x.shape[-1]
    width = c.get("head_dim") or d // heads
    norm = lambda name, t: rms(t, W(p + name + ".weight", t.shape[-1], mean=1.0, scale=0.1), eps)
    h, a = norm("input_layernorm", x), p + "self_attn."
    bias = c.get("qkv_bias", True) if kind == "qwen2_moe" else c["attention_bias"]
    q, k, v = (linear(W, a + n, h, count * width, bias) for n, count in (("q_proj", heads), ("k_proj", groups), ("v_proj", groups)))
    if kind == "olmoe": q, k = norm("self_attn.q_norm", q), norm("self_attn.k_norm", k)  # before heads are cut
    q, k, v = (t.unflatten(-1, (-1, width)) for t in (q, k, v))
    if c.get("use_qk_norm"): q, k = norm("self_attn.q_norm", q), norm("self_attn.k_norm", k)
    sinks = W(a + "sinks", heads, scale=1.0) if kind == "gpt_oss" else None
    y = attend(rotate(q, c), rotate(k, c), v, width ** -0.5, window(c, l), sinks)
    x = x + linear(W, a + "o_proj", y, d, bias and kind in ("olmoe", "gpt_oss"))
    return x + feed_forward(c, W, p + "mlp.", norm("post_attention_layernorm", x), l)


def model(c, W, ids):
    d = c["hidden_size"]
    x = W("model.embed_tokens.weight", V, d, scale=0.5)[ids]
    for l in range(c["num_hidden_layers"]): x = layer(c, W, f"model.layers.{l}.", x, l)
    x = rms(x, W("model.norm.weight", d, mean=1.0, scale=0.1), c["rms_norm_eps"])
    return x @ (W("model.embed_tokens.weight", V, d) if c.get("tie_word_embeddings") else W("lm_head.weight", V, d)).T


def add_mtp(c, W):
    """The tensors of the layer behind the last one."""
    d, l = c["hidden_size"], c["num_hidden_layers"]
    p = f"model.layers.{l}."
    with torch.no_grad(): layer(c, W, p, torch.zeros(1, 1, d), l)
    for name in ("enorm", "hnorm", "shared_head.norm"): W(p + name + ".weight", d, mean=1.0, scale=0.1)
    W(p + "eh_proj.weight", d, 2 * d)


def config(kind, **more):
    return {**dict(model_type=kind, vocab_size=V, hidden_size=D, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                   rms_norm_eps=1e-5, rope_parameters=dict(rope_type="default", rope_theta=10000.0), tie_word_embeddings=False), **more}


GLM = dict(attention_bias=True, use_qk_norm=False, head_dim=8, intermediate_size=12, moe_intermediate_size=6, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=2, n_group=1,
           topk_group=1, norm_topk_prob=True, routed_scaling_factor=1.7, first_k_dense_replace=1, rope_parameters=dict(rope_type="default", rope_theta=1000.0, partial_rotary_factor=0.5))
OSS = dict(attention_bias=True, head_dim=8, intermediate_size=12, num_local_experts=5, num_experts_per_tok=3, sliding_window=5, hidden_act="silu",
           rope_parameters=dict(rope_type="yarn", rope_theta=150.0, factor=4.0, beta_fast=8.0, beta_slow=1.0, truncate=False, original_max_position_embeddings=16))
CASES = {
    "olmoe": config("olmoe", num_key_value_heads=4, attention_bias=False, intermediate_size=6, num_experts=6, num_experts_per_tok=3, norm_topk_prob=False, clip_qkv=None),
    "olmoe-biases-normalised": config("olmoe", attention_bias=True, intermediate_size=6, num_experts=4, num_experts_per_tok=2, norm_topk_prob=True, rms_norm_eps=1e-3),
    "qwen2-moe": config("qwen2_moe", num_hidden_layers=3, intermediate_size=10, moe_intermediate_size=6, shared_expert_intermediate_size=12, num_experts=6, num_experts_per_tok=2,
                        norm_topk_prob=False, decoder_sparse_step=1, mlp_only_layers=[1], use_sliding_window=False),
    "qwen2-moe-all-layers": config("qwen2_moe", intermediate_size=12, moe_intermediate_size=6, shared_expert_intermediate_size=12, num_experts=6, num_experts_per_tok=2, norm_topk_prob=False,
                                   decoder_sparse_step=1, mlp_only_layers=[], use_sliding_window=False),
    "qwen2-moe-sparse-windows": config("qwen2_moe", num_hidden_layers=4, intermediate_size=10, moe_intermediate_size=6, shared_expert_intermediate_size=8, num_experts=4, num_experts_per_tok=2,
                                       norm_topk_prob=True, decoder_sparse_step=2, mlp_only_layers=[], use_sliding_window=True, sliding_window=5, qkv_bias=False,
                                       layer_types=["sliding_attention", "full_attention", "full_attention", "sliding_attention"]),
    "glm4-moe-mtp": config("glm4_moe", **GLM, num_nextn_predict_layers=1),
    "glm4-moe-qk-norm-groups": config("glm4_moe", **{**GLM, "attention_bias": False, "use_qk_norm": True, "n_shared_experts": 2, "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2,
                                                     "norm_topk_prob": False, "rope_parameters": dict(rope_type="default", rope_theta=1000.0, partial_rotary_factor=0.25)}),
    "gpt-oss": config("gpt_oss", **OSS, num_hidden_layers=4),
    "gpt-oss-clamped": config("gpt_oss", **{**OSS, "rope_parameters": dict(rope_type="default", rope_theta=150.0), "swiglu_alpha": 1.3, "swiglu_limit": 0.8, "attention_bias": False,
                                            "layer_types": ["full_attention", "sliding_attention"], "num_experts_per_tok": 2, "tie_word_embeddings": True}),
}


def expected(c, W, seed, with_gradients):
    g = torch.Generator().manual_seed(seed)
    ids, far = torch.randint(0, V, (2, 9), generator=g), torch.randint(0, V, (1, 32), generator=g)
    logits = model(c, W, ids)
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    out = {"batch.input_ids": ids, "batch.logits": logits, "long.input_ids": far}
    if with_gradients:
        loss.backward()
        out["batch.loss"] = loss
    with torch.no_grad():
        out["long.logits"] = model(c, W, far)
        lengths = (9, 5)  # padded to the left, with positions from the first real token
        out["padded.input_ids"] = torch.stack([torch.cat([torch.zeros(9 - n, dtype=torch.int64), row[:n]]) for row, n in zip(ids, lengths)])
        out["padded.mask"] = torch.tensor([[0] * (9 - n) + [1] * n for n in lengths])
        out["padded.logits"] = torch.stack([torch.cat([torch.zeros(9 - n, V), model(c, W, row[None, :n])[0]]) for row, n in zip(ids, lengths)])
        sequence, tokens, margins = far[:, :6], [], []
        for _ in range(12):
            top = model(c, W, sequence)[0, -1].topk(2)
            tokens.append(top.indices[0].item()); margins.append((top.values[0] - top.values[1]).item())
            sequence = torch.cat([sequence, top.indices[:1][None]], 1)
    out.update({"greedy.prompt": far[0, :6], "greedy.tokens": torch.tensor(tokens), "greedy.margin": torch.tensor(margins)})
    if with_gradients:
        out.update({"grad." + k: v.grad if v.grad is not None else torch.zeros_like(v) for k, v in W.all.items() if "correction_bias" not in k})
    return out, tokens, margins


def write(folder, c, tensors, out, tokens, margins):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as f: json.dump(c, f, indent=1)
    save(os.path.join(folder, "model.safetensors"), tensors)
    save(os.path.join(folder, "expected.safetensors"), out)
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print(f"{os.path.basename(folder):28s} {size >> 10:4d} KiB  {len(set(tokens))} tokens, least margin {min(margins):.3f}")


def families():
    for number, (name, c) in enumerate(CASES.items()):
        W = Weights(500 + number)
        out, tokens, margins = expected(c, W, 1500 + number, with_gradients="mtp" not in name)
        if "mtp" in name: add_mtp(c, W)
        write(os.path.join(HERE, name), c, W.all, out, tokens, margins)


# What 8-bit floats of 4 bits of exponent and 3 of mantissa, without infinities, and the magnitudes of 4-bit floats stand for.
E4M3_VALUES = np.array([(m / 8 * 2.0 ** -6 if e == 0 else (1 + m / 8) * 2.0 ** (e - 7)) * s for s in (1, -1) for e in range(16) for m in range(8)])
E4M3_VALUES[[127, 255]] = np.nan
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def to_fp8(w, rows, columns, flip=False):
    """Numbers and scales of blocks, and what they stand for."""
    w = w.detach().numpy()
    scales = np.zeros((-(-w.shape[0] // rows), -(-w.shape[1] // columns)), np.float32)
    numbers, values = np.zeros(w.shape, np.uint8), np.zeros(w.shape)
    finite = np.where(np.isnan(E4M3_VALUES), np.inf, E4M3_VALUES)
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            at = np.s_[i * rows:(i + 1) * rows, j * columns:(j + 1) * columns]
            scales[i, j] = np.abs(w[at]).max() / 448
            numbers[at] = np.abs(w[at][..., None] / np.float64(scales[i, j]) - finite).argmin(-1)
            values[at] = E4M3_VALUES[numbers[at]] * np.float64(scales[i, j])
    return numbers.view(E4M3), scales, torch.tensor(values).requires_grad_()


def to_mxfp4(w):
    """w [E, inputs, outputs] as blocks [E, outputs, inputs / 32, 16] and scales, and what they stand for."""
    turned = w.detach().numpy().transpose(0, 2, 1)
    cut = turned.reshape(*turned.shape[:2], -1, 32)
    exponents = np.floor(np.log2(np.abs(cut).max(-1))) - 2
    scale = 2.0 ** exponents[..., None]
    codes = np.abs(np.abs(cut)[..., None] / scale[..., None] - E2M1).argmin(-1)
    values = np.sign(cut) * E2M1[codes] * scale
    codes = (codes | np.where(cut < 0, 8, 0)).astype(np.uint8)
    blocks = codes[..., 0::2] | codes[..., 1::2] << 4
    return blocks, (exponents + 127).astype(np.uint8), torch.tensor(values.reshape(turned.shape).transpose(0, 2, 1).copy()).requires_grad_()


def quantized():
    """The published layouts: tiles of DeepSeek-V3 and Qwen 3, rows and wholes of compressed-tensors, blocks of gpt-oss."""
    base = lambda **more: config("glm4_moe", **{**GLM, "head_dim": 12, **more})
    compressed = lambda strategy: dict(quant_method="compressed-tensors", format="float-quantized", kv_cache_scheme=None, ignore=["lm_head"], quantization_status="compressed", config_groups={
        "group_0": dict(targets=["Linear"], weights=dict(num_bits=8, type="float", strategy=strategy, symmetric=True), input_activations=dict(num_bits=8, type="float", dynamic=False))})
    cases = {
        "fp8-blocks": (base(quantization_config=dict(quant_method="fp8", activation_scheme="dynamic", fmt="e4m3", weight_block_size=[5, 7])), (5, 7), "weight_scale_inv"),
        "fp8-rows": (base(quantization_config=compressed("channel")), (1, 1 << 20), "weight_scale"),
        "fp8-wholes": (base(quantization_config=compressed("tensor")), (1 << 20, 1 << 20), "weight_scale"),
    }
    for number, (name, (c, (rows, columns), end)) in enumerate(cases.items()):
        W = Weights(700 + number)
        with torch.no_grad(): model(c, W, torch.zeros(1, 1, dtype=torch.int64))
        stored = {}
        for key, w in list(W.all.items()):
            if not key.endswith("_proj.weight"): stored[key] = w; continue
            numbers, scales, W.all[key] = to_fp8(w, rows, columns)
            stored[key], stored[key[:-len("weight")] + end] = numbers, scales[0] if name == "fp8-wholes" else scales
            if name == "fp8-wholes": stored[key[:-len("weight")] + "input_scale"] = np.ones(1, np.float32)
        out, tokens, margins = expected(c, W, 1700 + number, with_gradients=False)
        write(os.path.join(HERE, "..", "quantized", name), c, stored, out, tokens, margins)

    c = config("gpt_oss", **{**OSS, "hidden_size": 64, "intermediate_size": 32, "num_local_experts": 3, "num_experts_per_tok": 2}, quantization_config=dict(
        quant_method="mxfp4", modules_to_not_convert=["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]))
    W = Weights(710)
    with torch.no_grad(): model(c, W, torch.zeros(1, 1, dtype=torch.int64))
    stored = {}
    for key, w in list(W.all.items()):
        if not key.endswith(("gate_up_proj", "down_proj")): stored[key] = w; continue
        stored[key + "_blocks"], stored[key + "_scales"], W.all[key] = to_mxfp4(w)
    out, tokens, margins = expected(c, W, 1710, with_gradients=False)
    write(os.path.join(HERE, "..", "quantized", "gpt-oss-mxfp4"), c, stored, out, tokens, margins)


if __name__ == "__main__":
    families()
    quantized()

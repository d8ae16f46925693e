"""Tiny checkpoints with options that published ones seldom have, and what their equations give.

    python make_families.py          (needs torch and numpy; writes the folders beside this script)

The forward passes below are transcriptions, in float64, of how transformers 5 computes these families: written down from what it
documents and does, not with it. A folder has config.json, model.safetensors and expected.safetensors, laid out as `tessera verify`
reads them.
"""
import json, math, os, struct
import numpy as np, torch

HERE = os.path.dirname(os.path.abspath(__file__))
V, D = 16, 8
torch.set_default_dtype(torch.float64)


def save(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        a = t.detach().numpy() if isinstance(t, torch.Tensor) else np.asarray(t)
        a = np.ascontiguousarray(a.astype(np.int32 if a.dtype.kind in "iu" else np.float32))
        header[name] = dict(dtype="I32" if a.dtype == np.int32 else "F32", shape=list(a.shape), data_offsets=[len(data), len(data) + a.nbytes])
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
            # As a checkpoint holds it: float32.
            self.all[name] = (mean + scale * torch.randn(*shape, generator=self.g)).float().double().requires_grad_()
        return self.all[name]


ACT = dict(silu=torch.nn.functional.silu, gelu=torch.nn.functional.gelu, relu=torch.relu, tanh=torch.tanh, sigmoid=torch.sigmoid, relu2=lambda x: torch.relu(x) ** 2,
           gelu_new=lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))))
ACT["gelu_pytorch_tanh"] = ACT["gelu_fast"] = ACT["gelu_new"]


def rms(x, w, eps): return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * w


def linear(W, name, x, out, bias=False):
    y = x @ W(name + ".weight", out, x.shape[-1]).T
    return y + W(name + ".bias", out, scale=0.1) if bias else y


def mscale(s, m=1.0): return 1.0 if s <= 1 else 0.1 * m * math.log(s) + 1


def frequencies(c, width, length):
    """Inverse frequencies and the factor of sines and cosines."""
    r = c.get("rope_parameters") or {**(c.get("rope_scaling") or {}), "rope_theta": c["rope_theta"]}
    kind, base, longest = r.get("rope_type", r.get("type", "default")), r["rope_theta"], c["max_position_embeddings"]
    plain = lambda b: torch.tensor([b ** (-2 * i / width) for i in range(width // 2)])
    if kind == "default": return plain(base), 1.0
    factor, original = r.get("factor"), r.get("original_max_position_embeddings", longest)
    if kind == "linear": return plain(base) / factor, 1.0
    if kind == "dynamic":
        n = max(length, longest)
        return plain(base * (factor * n / longest - (factor - 1)) ** (width / (width - 2))), 1.0
    if kind in ("longrope", "su"):
        factor = factor or longest / original
        divide = torch.tensor(r["long_factor"] if length > original else r["short_factor"])
        return plain(base) / divide, r.get("attention_factor") or (1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original)))
    assert kind == "yarn", kind
    factor = factor or longest / original
    place = lambda turns: width * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))
    low, high = place(r.get("beta_fast") or 32), place(r.get("beta_slow") or 1)
    if r.get("truncate", True): low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    ramp = torch.clamp((torch.arange(width // 2) - low) / ((high - low) or 0.001), 0, 1)
    m, all_ = r.get("mscale"), r.get("mscale_all_dim")
    magnitude = r.get("attention_factor") or (mscale(factor, m) / mscale(factor, all_) if m and all_ else mscale(factor))
    return plain(base) / factor * ramp + plain(base) * (1 - ramp), magnitude


def rotate(x, c, interleaved=False):
    """x [B, T, H, W]"""
    width, length = x.shape[-1], x.shape[1]
    inverse, magnitude = frequencies(c, width, length)
    angle = torch.arange(length)[:, None] * inverse[None]
    cos, sin = (magnitude * angle.cos())[None, :, None], (magnitude * angle.sin())[None, :, None]
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :width // 2], x[..., width // 2:])
    left, right = a * cos - b * sin, b * cos + a * sin
    return torch.stack([left, right], -1).flatten(-2) if interleaved else torch.cat([left, right], -1)


def attend(q, k, v, scale, window=None):
    """q [B, T, H, W], k and v [B, T, K, W]"""
    T, repeat = q.shape[1], q.shape[2] // k.shape[2]
    k, v = k.repeat_interleave(repeat, 2), v.repeat_interleave(repeat, 2)
    s = torch.einsum("bihw,bjhw->bhij", q, k) * scale
    i, j = torch.arange(T)[:, None], torch.arange(T)[None]
    seen = (j <= i) if window is None else (j <= i) & (j > i - window)
    return torch.einsum("bhij,bjhw->bihw", s.masked_fill(~seen, -math.inf).softmax(-1), v).flatten(2)


def gated(W, p, x, hidden, act, bias=False, names=("gate_proj", "up_proj", "down_proj")):
    g, u, d = names
    return linear(W, p + d, ACT[act](linear(W, p + g, x, hidden, bias)) * linear(W, p + u, x, hidden, bias), x.shape[-1], bias)


def mixture(W, p, x, experts, chosen, gates, hidden, act, names=("gate_proj", "up_proj", "down_proj")):
    """chosen [N, k], gates [N, k]"""
    y = torch.zeros_like(x)
    for e in range(experts):
        weight = (gates * (chosen == e)).sum(-1, keepdim=True)
        y = y + weight * gated(W, f"{p}experts.{e}.", x, hidden, act, names=names)
    return y


def rotary_model(c, W, ids):
    kind, heads, act, eps = c["model_type"], c["num_attention_heads"], c.get("hidden_act", "silu"), c["rms_norm_eps"]
    groups, width = c.get("num_key_value_heads", heads), c.get("head_dim") or D // heads
    x = W("model.embed_tokens.weight", V, D, scale=0.5)[ids]
    for l in range(c["num_hidden_layers"]):
        p = f"model.layers.{l}."
        norm = lambda name, x: rms(x, W(p + name + ".weight", D, mean=1.0, scale=0.1), eps)
        h, a = norm("input_layernorm", x), p + "self_attn."
        if kind.startswith("deepseek"): y = latent(c, W, a, h)
        else:
            bias = kind == "qwen2" or c.get("attention_bias", False)
            split = lambda name, n: linear(W, a + name, h, n * width, bias).unflatten(-1, (n, width))
            q, k, v = split("q_proj", heads), split("k_proj", groups), split("v_proj", groups)
            if kind.startswith("qwen3"):
                q, k = (rms(t, W(a + n + ".weight", width, mean=1.0, scale=0.1), eps) for t, n in ((q, "q_norm"), (k, "k_norm")))
            y = linear(W, a + "o_proj", attend(rotate(q, c), rotate(k, c), v, width ** -0.5, window(c, l)), D, c.get("attention_bias", False))
        x = x + y
        h = norm("post_attention_layernorm", x)
        x = x + feed_forward(c, W, p, h, l, act)
    x = rms(x, W("model.norm.weight", D, mean=1.0, scale=0.1), eps)
    return x @ (W("model.embed_tokens.weight", V, D) if c.get("tie_word_embeddings") else W("lm_head.weight", V, D)).T


def window(c, l):
    if c["model_type"] in ("mistral", "mixtral"): return c.get("sliding_window")
    if not c.get("use_sliding_window"): return None
    if c["model_type"] == "qwen3_moe": return c["sliding_window"]
    types = c.get("layer_types") or ["sliding_attention" if i >= c["max_window_layers"] else "full_attention" for i in range(c["num_hidden_layers"])]
    return c["sliding_window"] if types[l] == "sliding_attention" else None


def latent(c, W, a, h):
    heads, nope, rope, value, bias = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"], c.get("attention_bias", False)
    narrow_norm = lambda name, t: rms(t, W(a + name + ".weight", t.shape[-1], mean=1.0, scale=0.1), 1e-6)  # whatever rms_norm_eps says
    if c["q_lora_rank"] is None: q = linear(W, a + "q_proj", h, heads * (nope + rope))
    else: q = linear(W, a + "q_b_proj", narrow_norm("q_a_layernorm", linear(W, a + "q_a_proj", h, c["q_lora_rank"], bias)), heads * (nope + rope))
    q = q.unflatten(-1, (heads, nope + rope))
    narrow = linear(W, a + "kv_a_proj_with_mqa", h, c["kv_lora_rank"] + rope, bias)
    kv = linear(W, a + "kv_b_proj", narrow_norm("kv_a_layernorm", narrow[..., :c["kv_lora_rank"]]), heads * (nope + value)).unflatten(-1, (heads, nope + value))
    interleaved = c["model_type"] == "deepseek_v2" or c.get("rope_interleave", True)
    shared = rotate(narrow[..., None, c["kv_lora_rank"]:], c, interleaved).expand(-1, -1, heads, -1)
    q = torch.cat([q[..., :nope], rotate(q[..., nope:], c, interleaved)], -1)
    scale, r = (nope + rope) ** -0.5, c["rope_parameters"]
    if r["rope_type"] != "default" and r.get("mscale_all_dim"): scale *= mscale(r["factor"], r["mscale_all_dim"]) ** 2
    return linear(W, a + "o_proj", attend(q, torch.cat([kv[..., :nope], shared], -1), kv[..., nope:], scale), D, bias)


def feed_forward(c, W, p, h, l, act):
    kind = c["model_type"]
    if kind == "mixtral": return softmax_experts(c, W, p + "block_sparse_moe.", h, c["num_local_experts"], c["intermediate_size"], True, act, ("w1", "w3", "w2"))
    if kind == "qwen3_moe" and l not in c["mlp_only_layers"] and (l + 1) % c["decoder_sparse_step"] == 0:
        return softmax_experts(c, W, p + "mlp.", h, c["num_experts"], c["moe_intermediate_size"], c["norm_topk_prob"], act)
    if kind.startswith("deepseek") and l >= c["first_k_dense_replace"]:
        shared = gated(W, p + "mlp.shared_experts.", h, c["moe_intermediate_size"] * c["n_shared_experts"], act, c.get("mlp_bias", False))
        return shared + (sigmoid_experts if kind == "deepseek_v3" else grouped_experts)(c, W, p + "mlp.", h, act)
    return gated(W, p + "mlp.", h, c["intermediate_size"], act, c.get("mlp_bias", False))


def softmax_experts(c, W, p, h, experts, hidden, normalise, act, names=("gate_proj", "up_proj", "down_proj")):
    x = h.flatten(0, 1)
    gates, chosen = linear(W, p + "gate", x, experts).softmax(-1).topk(c["num_experts_per_tok"], -1)
    if normalise: gates = gates / gates.sum(-1, keepdim=True)
    return mixture(W, p, x, experts, chosen, gates, hidden, act, names).view_as(h)


def in_groups(scores, groups, active, best):
    """Scores with minus infinity outside of the groups whose best experts add up to most."""
    n, e = scores.shape
    cut = scores.view(n, groups, e // groups)
    kept = cut.topk(best, -1)[0].sum(-1).topk(active, -1)[1]
    mask = torch.zeros(n, groups, dtype=torch.bool).scatter(1, kept, True)
    return cut.masked_fill(~mask[..., None], -math.inf).view(n, e)


def grouped_experts(c, W, p, h, act):
    x, e = h.flatten(0, 1), c["n_routed_experts"]
    scores = linear(W, p + "gate", x, e).softmax(-1)
    limited = in_groups(scores, c["n_group"], c["topk_group"], 1) if c["topk_method"] == "group_limited_greedy" else scores
    chosen = limited.topk(c["num_experts_per_tok"], -1)[1]
    return mixture(W, p, x, e, chosen, scores.gather(1, chosen) * c["routed_scaling_factor"], c["moe_intermediate_size"], act).view_as(h)


def sigmoid_experts(c, W, p, h, act):
    x, e = h.flatten(0, 1), c["n_routed_experts"]
    scores = linear(W, p + "gate", x, e).sigmoid()
    steered = scores.detach() + W(p + "gate.e_score_correction_bias", e, mean=-0.5, scale=0.3).detach()  # so low that choices are below zero
    chosen = in_groups(steered, c["n_group"], c["topk_group"], 2).topk(c["num_experts_per_tok"], -1)[1]
    gates = scores.gather(1, chosen)
    if c["norm_topk_prob"]: gates = gates / gates.sum(-1, keepdim=True)
    return mixture(W, p, x, e, chosen, gates * c["routed_scaling_factor"], c["moe_intermediate_size"], act).view_as(h)


def gpt2(c, W, ids):
    """Matrices [inputs, outputs], and names without the prefix, as the first checkpoints had them."""
    heads, T, eps = c["n_head"], ids.shape[1], c["layer_norm_epsilon"]
    width = D // heads
    conv = lambda name, x, out: x @ W(name + ".weight", x.shape[-1], out, scale=1 / math.sqrt(x.shape[-1])) + W(name + ".bias", out, scale=0.1)
    norm = lambda name, x: torch.nn.functional.layer_norm(x, (D,), W(name + ".weight", D, mean=1.0, scale=0.1), W(name + ".bias", D, scale=0.1), eps)
    x = W("wte.weight", V, D, scale=0.5)[ids] + W("wpe.weight", c["n_positions"], D, scale=0.5)[:T]
    for l in range(c["n_layer"]):
        q, k, v = (t.unflatten(-1, (heads, width)) for t in conv(f"h.{l}.attn.c_attn", norm(f"h.{l}.ln_1", x), 3 * D).split(D, -1))
        scale = (width ** -0.5 if c["scale_attn_weights"] else 1.0) / (l + 1 if c["scale_attn_by_inverse_layer_idx"] else 1)
        x = x + conv(f"h.{l}.attn.c_proj", attend(q, k, v, scale), D)
        x = x + conv(f"h.{l}.mlp.c_proj", ACT[c["activation_function"]](conv(f"h.{l}.mlp.c_fc", norm(f"h.{l}.ln_2", x), c["n_inner"])), D)
    x = norm("ln_f", x)
    return x @ (W("wte.weight", V, D) if c["tie_word_embeddings"] else W("lm_head.weight", V, D)).T


def rotary(kind, **more):
    return dict(model_type=kind, vocab_size=V, hidden_size=D, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=4,
                max_position_embeddings=64, rms_norm_eps=1e-5, rope_parameters=dict(rope_type="default", rope_theta=10000.0), **more)


def deepseek(kind, **more):
    return {**rotary(kind, kv_lora_rank=6, qk_nope_head_dim=4, qk_rope_head_dim=4, v_head_dim=6, moe_intermediate_size=6, n_routed_experts=8, n_group=4, topk_group=2,
                     num_experts_per_tok=4, routed_scaling_factor=1.7), **more, "num_key_value_heads": 4}


YARN = dict(rope_type="yarn", rope_theta=100.0, factor=4.0, original_max_position_embeddings=16)
CASES = {
    "llama-biases-linear": {**rotary("llama"), "num_key_value_heads": 1, "head_dim": 6, "attention_bias": True, "mlp_bias": True, "hidden_act": "gelu", "tie_word_embeddings": True,
                            "rope_parameters": dict(rope_type="linear", rope_theta=500.0, factor=3.0)},
    "llama-dynamic": {**rotary("llama"), "max_position_embeddings": 10, "hidden_act": "relu", "rope_parameters": dict(rope_type="dynamic", rope_theta=100.0, factor=4.0)},
    "llama-yarn-old-layout": {**rotary("llama"), "rope_theta": 100.0, "rope_scaling": dict(type="yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=8, beta_slow=2), "rope_parameters": None},
    "mistral-longrope": {**rotary("mistral"), "sliding_window": None, "rope_parameters": dict(
        rope_type="longrope", rope_theta=100.0, original_max_position_embeddings=16, short_factor=[1.0, 1.1], long_factor=[1.5, 4.0])},
    "qwen2-last-windows": {**rotary("qwen2"), "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1, "rope_parameters": {**YARN, "truncate": False}},
    "qwen3-layer-types": {**rotary("qwen3"), "head_dim": 6, "attention_bias": True, "use_sliding_window": True, "sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    "qwen3-moe-sparse-step": {**rotary("qwen3_moe"), "num_hidden_layers": 3, "num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 6, "norm_topk_prob": False,
                              "decoder_sparse_step": 2, "mlp_only_layers": [2], "use_sliding_window": True, "sliding_window": 7},
    "mixtral-one-expert": {**rotary("mixtral"), "num_local_experts": 3, "num_experts_per_tok": 1, "sliding_window": 6, "hidden_act": "gelu_pytorch_tanh"},
    "deepseek-v2-greedy-yarn": deepseek("deepseek_v2", q_lora_rank=None, n_shared_experts=2, topk_method="greedy", first_k_dense_replace=1, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-2,
                                        rope_parameters={**YARN, "mscale": 0.7, "mscale_all_dim": 0.9}),
    "deepseek-v2-groups": deepseek("deepseek_v2", q_lora_rank=8, n_shared_experts=1, topk_method="group_limited_greedy", first_k_dense_replace=0, num_hidden_layers=1),
    "deepseek-v2-dynamic": {**deepseek("deepseek_v2", q_lora_rank=None, n_shared_experts=1, topk_method="greedy", first_k_dense_replace=2, num_hidden_layers=2),
                            "max_position_embeddings": 8, "rope_parameters": dict(rope_type="dynamic", rope_theta=100.0, factor=4.0)},
    "deepseek-v3-low-biases": deepseek("deepseek_v3", q_lora_rank=None, n_shared_experts=2, norm_topk_prob=False, first_k_dense_replace=0, num_hidden_layers=1, rope_interleave=False, num_nextn_predict_layers=1),
    "deepseek-v3-one-group": deepseek("deepseek_v3", q_lora_rank=8, n_shared_experts=1, norm_topk_prob=True, first_k_dense_replace=1, n_routed_experts=4, n_group=1, topk_group=1, attention_bias=True,
                                      num_experts_per_tok=3, rope_parameters={**YARN, "mscale_all_dim": 0.5}),
    "gpt2-old-names": dict(model_type="gpt2", vocab_size=V, n_embd=D, n_layer=3, n_head=2, n_positions=32, n_inner=12, activation_function="relu", layer_norm_epsilon=1e-2,
                           scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True, tie_word_embeddings=True),
    "gpt2-untied": dict(model_type="gpt2", vocab_size=V, n_embd=D, n_layer=2, n_head=2, n_positions=32, n_inner=12, activation_function="tanh", layer_norm_epsilon=1e-5,
                        scale_attn_weights=True, scale_attn_by_inverse_layer_idx=True, tie_word_embeddings=False),
}
WITH_GRADIENTS = {"qwen3-moe-sparse-step", "gpt2-old-names"}

if __name__ == "__main__":
    for number, (name, c) in enumerate(CASES.items()):
        W, run = Weights(number), gpt2 if c["model_type"] == "gpt2" else rotary_model
        g = torch.Generator().manual_seed(1000 + number)
        ids, far = torch.randint(0, V, (2, 9), generator=g), torch.randint(0, V, (1, 24), generator=g)
        logits = run(c, W, ids)
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        sequence, tokens, margins = far[:, :6], [], []
        with torch.no_grad():
            for _ in range(12):
                top = run(c, W, sequence)[0, -1].topk(2)
                tokens.append(top.indices[0].item()); margins.append((top.values[0] - top.values[1]).item())
                sequence = torch.cat([sequence, top.indices[:1][None]], 1)
            expected = {"batch.input_ids": ids, "batch.logits": logits, "batch.loss": loss, "long.input_ids": far, "long.logits": run(c, W, far),
                        "greedy.prompt": far[0, :6], "greedy.tokens": torch.tensor(tokens), "greedy.margin": torch.tensor(margins)}
        if name in WITH_GRADIENTS:
            expected.update({"grad." + k: v.grad if v.grad is not None else torch.zeros_like(v) for k, v in W.all.items() if "correction_bias" not in k})
        tensors = dict(W.all)
        if name == "gpt2-old-names":
            for l in range(c["n_layer"]): tensors[f"h.{l}.attn.bias"] = torch.ones(1, 1, 32, 32).tril()[..., :2]
        folder = os.path.join(HERE, name); os.makedirs(folder, exist_ok=True)
        json.dump(c, open(os.path.join(folder, "config.json"), "w"), indent=1)
        save(os.path.join(folder, "model.safetensors"), tensors)
        save(os.path.join(folder, "expected.safetensors"), expected)
        size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
        print(f"{name:26s} {size >> 10:4d} KiB  {len(set(tokens))} tokens, least margin {min(margins):.3f}")

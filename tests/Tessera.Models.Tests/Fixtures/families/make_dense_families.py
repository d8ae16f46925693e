"""Tiny checkpoints of dense families after Llama, and what their equations give.

    python make_dense_families.py          (needs torch and numpy; writes the folders beside this script)

As make_families.py, which this uses: transcriptions, in float64, of how transformers 5 computes Gemma 2 and 3, Phi-3, OLMo 2, StarCoder2,
GPT-NeoX, Granite, SmolLM3 and Cohere, written down from their papers and from what it documents and does, not with it.
"""
import json, math, os
import torch
from make_families import ACT, HERE, Weights, frequencies, gated, linear, rms, save

V, D, H = 24, 16, 20
BASE = dict(vocab_size=V, hidden_size=D, intermediate_size=H, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)


class CoarseWeights(Weights):
    """Numbers of bfloat16, as Gemma's checkpoints hold: 1 + w is then exact in float32, where GGUF files hold it."""
    def __call__(self, name, *shape, **how):
        if name not in self.all: self.all[name] = super().__call__(name, *shape, **how).detach().bfloat16().double().requires_grad_()
        return self.all[name]


def rope(kind="default", theta=100.0, **more): return dict(rope_type=kind, rope_theta=theta, **more)


def rotate(x, parameters, longest, width=None, interleaved=False):
    """x [B, T, heads, W]: the first `width` elements of each head are turned."""
    width, length = width or x.shape[-1], x.shape[1]
    inverse, magnitude = frequencies(dict(rope_parameters=parameters, max_position_embeddings=longest), width, length)
    angle = torch.arange(length)[:, None] * inverse[None]
    cos, sin = (magnitude * angle.cos())[None, :, None], (magnitude * angle.sin())[None, :, None]
    turned, rest = x[..., :width], x[..., width:]
    a, b = (turned[..., 0::2], turned[..., 1::2]) if interleaved else (turned[..., :width // 2], turned[..., width // 2:])
    left, right = a * cos - b * sin, b * cos + a * sin
    turned = torch.stack([left, right], -1).flatten(-2) if interleaved else torch.cat([left, right], -1)
    return torch.cat([turned, rest], -1)


def attend(q, k, v, scale, window=None, cap=None):
    """q [B, T, H, W], k and v [B, T, K, W]; a query sees the last `window` keys, its own included."""
    T, repeat = q.shape[1], q.shape[2] // k.shape[2]
    k, v = k.repeat_interleave(repeat, 2), v.repeat_interleave(repeat, 2)
    s = torch.einsum("bihw,bjhw->bhij", q, k) * scale
    if cap: s = cap * torch.tanh(s / cap)
    i, j = torch.arange(T)[:, None], torch.arange(T)[None]
    seen = (j <= i) if window is None else (j <= i) & (j > i - window)
    return torch.einsum("bhij,bjhw->bihw", s.masked_fill(~seen, -math.inf).softmax(-1), v).flatten(2)


def layer_norm(W, name, x, eps, bias=True, shape=None):
    y = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + eps)
    y = y * W(name + ".weight", *(shape or x.shape[-1:]), mean=1.0, scale=0.2)
    return y + W(name + ".bias", x.shape[-1], scale=0.1) if bias else y


def heads_of(W, name, x, count, width, bias=False): return linear(W, name, x, count * width, bias).unflatten(-1, (count, width))


def sizes(c): return c["num_attention_heads"], c.get("num_key_value_heads") or c["num_attention_heads"], c.get("head_dim") or D // c["num_attention_heads"]


def slides(c, otherwise):
    types = c.get("layer_types")
    return [t == "sliding_attention" for t in types] if types else [otherwise(l) for l in range(c["num_hidden_layers"])]


def gemma(c, W, ids):
    prefix = ""
    if c["model_type"] == "gemma3": c, prefix = c["text_config"], "language_model."
    third, (heads, groups, width), eps, bias = c["model_type"] != "gemma2", sizes(c), c["rms_norm_eps"], c.get("attention_bias", False)
    norm = lambda name, x: rms(x, 1 + W(f"{prefix}model.{name}.weight", x.shape[-1], scale=0.2), eps)
    table = W(prefix + "model.embed_tokens.weight", V, D, scale=0.3)
    x = table[ids] * math.sqrt(D)
    period = c.get("sliding_window_pattern", 6) if third else 2
    sliding = slides(c, lambda l: (l + 1) % period != 0)
    for l in range(c["num_hidden_layers"]):
        p = f"layers.{l}."
        a, h = f"{prefix}model.{p}self_attn.", norm(p + "input_layernorm", x)
        q, k, v = (heads_of(W, a + n, h, count, width, bias) for n, count in (("q_proj", heads), ("k_proj", groups), ("v_proj", groups)))
        if third:
            q, k = norm(p + "self_attn.q_norm", q), norm(p + "self_attn.k_norm", k)
            if "rope_parameters" in c: turn = c["rope_parameters"]["sliding_attention" if sliding[l] else "full_attention"]
            elif sliding[l]: turn = rope(theta=c["rope_local_base_freq"])
            else: turn = {**rope(theta=c["rope_theta"]), **(c.get("rope_scaling") or {})}
        else: turn = c["rope_parameters"]
        q, k = (rotate(t, turn, c["max_position_embeddings"]) for t in (q, k))
        y = attend(q, k, v, c["query_pre_attn_scalar"] ** -0.5, c["sliding_window"] if sliding[l] else None, None if third else c.get("attn_logit_softcapping", 50.0))
        x = x + norm(p + "post_attention_layernorm", linear(W, a + "o_proj", y, D, bias))
        y = gated(W, f"{prefix}model.{p}mlp.", norm(p + "pre_feedforward_layernorm", x), c["intermediate_size"], "gelu_pytorch_tanh")
        x = x + norm(p + "post_feedforward_layernorm", y)
    logits = norm("norm", x) @ (table if c.get("tie_word_embeddings", True) else W("lm_head.weight", V, D)).T
    cap = c.get("final_logit_softcapping", None if third else 30.0)
    return cap * torch.tanh(logits / cap) if cap else logits


def phi3(c, W, ids):
    (heads, groups, width), eps = sizes(c), c["rms_norm_eps"]
    norm = lambda name, x: rms(x, W(f"model.{name}.weight", x.shape[-1], mean=1.0, scale=0.1), eps)
    r = c.get("rope_parameters") or {**c["rope_scaling"], "rope_theta": c["rope_theta"], "original_max_position_embeddings": c["original_max_position_embeddings"]}
    turned = int(width * (r.get("partial_rotary_factor") or c.get("partial_rotary_factor", 1.0)))
    x = W("model.embed_tokens.weight", V, D, scale=0.5)[ids]
    for l in range(c["num_hidden_layers"]):
        p = f"layers.{l}."
        both = linear(W, f"model.{p}self_attn.qkv_proj", norm(p + "input_layernorm", x), (heads + 2 * groups) * width).unflatten(-1, (-1, width))
        q, k, v = both.split([heads, groups, groups], -2)
        q, k = (rotate(t, r, c["max_position_embeddings"], turned) for t in (q, k))
        x = x + linear(W, f"model.{p}self_attn.o_proj", attend(q, k, v, width ** -0.5, c.get("sliding_window")), D)
        gate, up = linear(W, f"model.{p}mlp.gate_up_proj", norm(p + "post_attention_layernorm", x), 2 * c["intermediate_size"]).chunk(2, -1)
        x = x + linear(W, f"model.{p}mlp.down_proj", up * ACT["silu"](gate), D)
    return norm("norm", x) @ (W("model.embed_tokens.weight", V, D) if c.get("tie_word_embeddings") else W("lm_head.weight", V, D)).T


def olmo2(c, W, ids):
    (heads, groups, width), eps, bias = sizes(c), c["rms_norm_eps"], c.get("attention_bias", False)
    norm = lambda name, x: rms(x, W(f"model.{name}.weight", x.shape[-1], mean=1.0, scale=0.2), eps)
    x = W("model.embed_tokens.weight", V, D, scale=0.5)[ids]
    for l in range(c["num_hidden_layers"]):
        p = f"layers.{l}."
        a = f"model.{p}self_attn."
        q = norm(p + "self_attn.q_norm", linear(W, a + "q_proj", x, heads * width, bias)).unflatten(-1, (heads, width))
        k = norm(p + "self_attn.k_norm", linear(W, a + "k_proj", x, groups * width, bias)).unflatten(-1, (groups, width))
        v = heads_of(W, a + "v_proj", x, groups, width, bias)
        q, k = (rotate(t, c["rope_parameters"], c["max_position_embeddings"]) for t in (q, k))
        x = x + norm(p + "post_attention_layernorm", linear(W, a + "o_proj", attend(q, k, v, width ** -0.5), D, bias))
        x = x + norm(p + "post_feedforward_layernorm", gated(W, f"model.{p}mlp.", x, c["intermediate_size"], "silu"))
    return norm("norm", x) @ W("lm_head.weight", V, D).T


def starcoder2(c, W, ids):
    (heads, groups, width), eps, bias = sizes(c), c["norm_epsilon"], c["use_bias"]
    norm = lambda name, x: layer_norm(W, "model." + name, x, eps)
    x = W("model.embed_tokens.weight", V, D, scale=0.5)[ids]
    for l in range(c["num_hidden_layers"]):
        p = f"layers.{l}."
        a, h = f"model.{p}self_attn.", norm(p + "input_layernorm", x)
        q, k, v = (heads_of(W, a + n, h, count, width, bias) for n, count in (("q_proj", heads), ("k_proj", groups), ("v_proj", groups)))
        q, k = (rotate(t, c["rope_parameters"], c["max_position_embeddings"]) for t in (q, k))
        x = x + linear(W, a + "o_proj", attend(q, k, v, width ** -0.5, c.get("sliding_window")), D, bias)
        h = ACT["gelu_pytorch_tanh"](linear(W, f"model.{p}mlp.c_fc", norm(p + "post_attention_layernorm", x), c["intermediate_size"], bias))
        x = x + linear(W, f"model.{p}mlp.c_proj", h, D, bias)
    return norm("norm", x) @ (W("model.embed_tokens.weight", V, D) if c.get("tie_word_embeddings", True) else W("lm_head.weight", V, D)).T


def gpt_neox(c, W, ids):
    heads, eps, act = c["num_attention_heads"], c["layer_norm_eps"], c["hidden_act"]
    width, norm = D // heads, lambda name, x: layer_norm(W, "gpt_neox." + name, x, eps)
    r = c.get("rope_parameters") or {**rope(theta=c["rotary_emb_base"]), "partial_rotary_factor": c["rotary_pct"]}
    turned = int(width * r["partial_rotary_factor"])
    x = W("gpt_neox.embed_in.weight", V, D, scale=0.5)[ids]
    for l in range(c["num_hidden_layers"]):
        p = f"layers.{l}."
        # of each head its query, key and value follow one another
        q, k, v = linear(W, f"gpt_neox.{p}attention.query_key_value", norm(p + "input_layernorm", x), 3 * D, c["attention_bias"]).unflatten(-1, (heads, 3, width)).unbind(-2)
        q, k = (rotate(t, r, c["max_position_embeddings"], turned) for t in (q, k))
        y = linear(W, f"gpt_neox.{p}attention.dense", attend(q, k, v, width ** -0.5), D, c["attention_bias"])
        if not c["use_parallel_residual"]: x, y = x + y, 0
        h = ACT[act](linear(W, f"gpt_neox.{p}mlp.dense_h_to_4h", norm(p + "post_attention_layernorm", x), c["intermediate_size"], True))
        x = x + y + linear(W, f"gpt_neox.{p}mlp.dense_4h_to_h", h, D, True)
    return norm("final_layer_norm", x) @ W("embed_out.weight", V, D).T


def llama_like(c, W, ids):
    """Granite and SmolLM3."""
    (heads, groups, width), eps, bias, mlp_bias = sizes(c), c["rms_norm_eps"], c.get("attention_bias", False), c.get("mlp_bias", False)
    norm = lambda name, x: rms(x, W(f"model.{name}.weight", x.shape[-1], mean=1.0, scale=0.1), eps)
    granite, layers = c["model_type"] == "granite", c["num_hidden_layers"]
    marks = [True] * layers if granite else c.get("no_rope_layers") or [(l + 1) % c.get("no_rope_layer_interval", 4) != 0 for l in range(layers)]
    sliding = slides(c, lambda l: c.get("use_sliding_window", False) and not marks[l])
    scale, added = (c["attention_multiplier"], c["residual_multiplier"]) if granite else (width ** -0.5, 1.0)
    x = W("model.embed_tokens.weight", V, D, scale=0.5)[ids] * (c["embedding_multiplier"] if granite else 1.0)
    for l in range(layers):
        p = f"layers.{l}."
        a, h = f"model.{p}self_attn.", norm(p + "input_layernorm", x)
        q, k, v = (heads_of(W, a + n, h, count, width, bias) for n, count in (("q_proj", heads), ("k_proj", groups), ("v_proj", groups)))
        if marks[l]: q, k = (rotate(t, c["rope_parameters"], c["max_position_embeddings"]) for t in (q, k))
        x = x + added * linear(W, a + "o_proj", attend(q, k, v, scale, c["sliding_window"] if sliding[l] else None), D, bias)
        x = x + added * gated(W, f"model.{p}mlp.", norm(p + "post_attention_layernorm", x), c["intermediate_size"], "silu", mlp_bias)
    logits = norm("norm", x) @ (W("model.embed_tokens.weight", V, D) if c["tie_word_embeddings"] else W("lm_head.weight", V, D)).T
    return logits / c["logits_scaling"] if granite else logits


def cohere(c, W, ids):
    (heads, groups, width), eps, bias, second = sizes(c), c["layer_norm_eps"], c.get("attention_bias", False), c["model_type"] == "cohere2"
    sliding = slides(c, lambda l: second and (l + 1) % c.get("sliding_window_pattern", 4) != 0)
    x = W("model.embed_tokens.weight", V, D, scale=0.5)[ids]
    for l in range(c["num_hidden_layers"]):
        a, h = f"model.layers.{l}.self_attn.", layer_norm(W, f"model.layers.{l}.input_layernorm", x, eps, bias=False)
        q, k, v = (heads_of(W, a + n, h, count, width, bias) for n, count in (("q_proj", heads), ("k_proj", groups), ("v_proj", groups)))
        if c.get("use_qk_norm"): q, k = (layer_norm(W, a + n, t, eps, bias=False, shape=t.shape[-2:]) for n, t in (("q_norm", q), ("k_norm", k)))
        if not second or sliding[l]: q, k = (rotate(t, c["rope_parameters"], c["max_position_embeddings"], interleaved=True) for t in (q, k))
        y = attend(q, k, v, width ** -0.5, c["sliding_window"] if sliding[l] else None)
        x = x + linear(W, a + "o_proj", y, D, bias) + gated(W, f"model.layers.{l}.mlp.", h, c["intermediate_size"], "silu")
    return layer_norm(W, "model.norm", x, eps, bias=False) @ W("model.embed_tokens.weight", V, D).T * c["logit_scale"]


GEMMA = {**BASE, "head_dim": 6, "query_pre_attn_scalar": 6, "rms_norm_eps": 1e-6, "sliding_window": 5, "hidden_activation": "gelu_pytorch_tanh"}
OLD = dict(model_type="gemma3_text", num_hidden_layers=7, rope_theta=1000.0, rope_local_base_freq=100.0, sliding_window_pattern=3, rope_scaling=dict(rope_type="linear", factor=4.0))
LAYERS = ["full_attention", "sliding_attention", "sliding_attention"]
CASES = {
    "gemma2": (gemma, {**GEMMA, "model_type": "gemma2", "rope_parameters": rope(), "attn_logit_softcapping": 3.0, "final_logit_softcapping": 5.0}),
    "gemma2-other-scale": (gemma, {**GEMMA, "model_type": "gemma2", "rope_parameters": rope(), "query_pre_attn_scalar": 11, "layer_types": LAYERS, "attention_bias": True,
                                   "attn_logit_softcapping": None, "final_logit_softcapping": None, "tie_word_embeddings": False}),
    "gemma3": (gemma, {**GEMMA, **OLD, "rope_local_base_freq": 10000.0, "sliding_window_pattern": 6}),
    "gemma3-layer-types": (gemma, {**GEMMA, "model_type": "gemma3_text", "layer_types": LAYERS, "final_logit_softcapping": 4.0, "rope_parameters": {
        "full_attention": rope("linear", 1000.0, factor=2.0), "sliding_attention": rope(theta=50.0)}}),
    "gemma3-with-images": (gemma, {"model_type": "gemma3", "vision_config": {"model_type": "siglip_vision_model"}, "text_config": {**GEMMA, **OLD, "num_hidden_layers": 3}}),
    "phi3-longrope-partial": (phi3, {**BASE, "model_type": "phi3", "rms_norm_eps": 1e-5, "num_attention_heads": 2, "num_key_value_heads": 1, "partial_rotary_factor": 0.75, "original_max_position_embeddings": 16, "rope_theta": 100.0,
                                     "tie_word_embeddings": True, "rope_scaling": dict(type="longrope", short_factor=[1.0, 1.1, 1.3], long_factor=[1.5, 4.0, 7.0])}),
    "phi3-longrope": (phi3, {**BASE, "model_type": "phi3", "rms_norm_eps": 1e-5, "original_max_position_embeddings": 16, "rope_theta": 100.0,
                             "rope_scaling": dict(type="su", short_factor=[1.0, 1.1], long_factor=[1.5, 4.0])}),
    "phi3-window": (phi3, {**BASE, "model_type": "phi3", "rms_norm_eps": 1e-5, "num_key_value_heads": None, "sliding_window": 6, "rope_parameters": rope(partial_rotary_factor=0.5)}),
    "olmo2": (olmo2, {**BASE, "model_type": "olmo2", "rms_norm_eps": 1e-5, "rope_parameters": rope()}),
    "olmo2-biases": (olmo2, {**BASE, "model_type": "olmo2", "rms_norm_eps": 1e-3, "head_dim": 6, "attention_bias": True, "rope_parameters": rope("linear", factor=2.0)}),
    "starcoder2": (starcoder2, {**BASE, "model_type": "starcoder2", "norm_epsilon": 1e-5, "use_bias": True, "rope_parameters": rope()}),
    "starcoder2-window": (starcoder2, {**BASE, "model_type": "starcoder2", "norm_epsilon": 1e-3, "use_bias": False, "num_key_value_heads": 1, "sliding_window": 6, "tie_word_embeddings": False,
                                       "rope_parameters": rope()}),
    "gpt-neox": (gpt_neox, {**BASE, "model_type": "gpt_neox", "num_attention_heads": 2, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "use_parallel_residual": True, "attention_bias": True, "rotary_pct": 0.5,
                            "rotary_emb_base": 100}),
    "gpt-neox-one-after-the-other": (gpt_neox, {**BASE, "model_type": "gpt_neox", "layer_norm_eps": 1e-3, "hidden_act": "gelu_fast", "use_parallel_residual": False, "attention_bias": True,
                                                "tie_word_embeddings": False, "rope_parameters": rope(partial_rotary_factor=1.0)}),
    "granite": (llama_like, {**BASE, "model_type": "granite", "rms_norm_eps": 1e-5, "embedding_multiplier": 3.0, "attention_multiplier": 0.3, "residual_multiplier": 0.22, "logits_scaling": 0.7,
                             "tie_word_embeddings": True, "rope_parameters": rope()}),
    "granite-biases": (llama_like, {**BASE, "model_type": "granite", "rms_norm_eps": 1e-5, "embedding_multiplier": 12.0, "attention_multiplier": 0.0078125, "residual_multiplier": 1.5,
                                    "logits_scaling": 13.0, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False, "rope_parameters": rope("linear", factor=2.0)}),
    "smollm3": (llama_like, {**BASE, "model_type": "smollm3", "num_hidden_layers": 5, "rms_norm_eps": 1e-6, "tie_word_embeddings": True, "rope_parameters": rope()}),
    "smollm3-windows": (llama_like, {**BASE, "model_type": "smollm3", "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "no_rope_layers": [1, 0, 1, 0], "use_sliding_window": True, "sliding_window": 6,
                                     "attention_bias": True, "mlp_bias": True, "rope_parameters": rope("linear", factor=2.0)}),
    "cohere": (cohere, {**BASE, "model_type": "cohere", "layer_norm_eps": 1e-5, "logit_scale": 0.0625, "tie_word_embeddings": True, "rope_parameters": rope()}),
    "cohere-query-key-norms": (cohere, {**BASE, "model_type": "cohere", "layer_norm_eps": 1e-3, "logit_scale": 1.7, "use_qk_norm": True, "rope_parameters": rope()}),
    "cohere2": (cohere, {**BASE, "model_type": "cohere2", "num_hidden_layers": 5, "layer_norm_eps": 1e-5, "logit_scale": 0.25, "sliding_window": 5, "rope_parameters": rope()}),
    "cohere2-layer-types": (cohere, {**BASE, "model_type": "cohere2", "layer_norm_eps": 1e-5, "logit_scale": 0.25, "sliding_window": 5, "layer_types": LAYERS, "rope_parameters": rope()}),
}

if __name__ == "__main__":
    for number, (name, (run, c)) in enumerate(CASES.items()):
        W = (CoarseWeights if run is gemma else Weights)(100 + number)
        g = torch.Generator().manual_seed(1100 + number)
        ids, far, padded = (torch.randint(0, V, shape, generator=g) for shape in ((2, 12), (1, 40), (3, 10)))
        logits = run(c, W, ids)
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        # A bias of keys without positions moves all scores of a query alike: its gradient is 0 but for rounding.
        grads = {"grad." + k: v.grad for k, v in W.all.items() if v.grad.abs().max() > 1e-12}
        mask, padded_logits = torch.ones(3, 10, dtype=torch.int32), torch.zeros(3, 10, V)
        sequence, tokens, margins = far[:, :6], [], []
        with torch.no_grad():
            for row, length in enumerate((10, 3, 7)):
                mask[row, :10 - length] = 0
                padded_logits[row, 10 - length:] = run(c, W, padded[row:row + 1, 10 - length:])[0]
            for _ in range(12):
                top = run(c, W, sequence)[0, -1].topk(2)
                tokens.append(top.indices[0].item()); margins.append((top.values[0] - top.values[1]).item())
                sequence = torch.cat([sequence, top.indices[:1][None]], 1)
            expected = {"batch.input_ids": ids, "batch.logits": logits, "batch.loss": loss, **grads, "long.input_ids": far, "long.logits": run(c, W, far),
                        "padded.input_ids": padded, "padded.mask": mask, "padded.logits": padded_logits,
                        "greedy.prompt": far[0, :6], "greedy.tokens": torch.tensor(tokens), "greedy.margin": torch.tensor(margins)}
        tensors = dict(W.all)
        if "vision_config" in c:
            tensors["vision_tower.vision_model.embeddings.patch_embedding.bias"] = torch.ones(4)
            tensors["multi_modal_projector.mm_soft_emb_norm.weight"] = torch.ones(4)
        if name == "gpt-neox":
            for l in range(c["num_hidden_layers"]): tensors[f"gpt_neox.layers.{l}.attention.rotary_emb.inv_freq"] = torch.ones(2)
        folder = os.path.join(HERE, name); os.makedirs(folder, exist_ok=True)
        json.dump(c, open(os.path.join(folder, "config.json"), "w"), indent=1)
        save(os.path.join(folder, "model.safetensors"), tensors)
        save(os.path.join(folder, "expected.safetensors"), expected)
        size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
        print(f"{name:30s} {size >> 10:4d} KiB  {len(set(tokens))} tokens, least margin {min(margins):.4f}")

using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn.Attention;

/// <summary>Options of <see cref="LatentAttention"/>; <c>"kind": "latent"</c> in a recipe.</summary>
/// <param name="Heads">Heads; 1 to 65,536.</param>
/// <param name="KvLoraRank">The width of the latent that keys and values are made from, and that is cached; 1 to 65,536.</param>
/// <param name="NopeHeadDim">The width of a head's query and key without positions; 1 to 16,384.</param>
/// <param name="RopeHeadDim">The width of the part with rotary positions, which all heads share as a key; 2 to 16,384.</param>
/// <param name="VHeadDim">The width of a head's value; 1 to 16,384.</param>
public sealed record LatentOptions(int Heads, int KvLoraRank, int NopeHeadDim, int RopeHeadDim, int VHeadDim) : AttentionOptions
{
    /// <summary>The width of the latent that queries are made from; straight from the stream where null.</summary>
    public int? QLoraRank { get; init; }

    /// <summary>Whether the maps from the stream to the latents and back to it have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>Rotary positions of the position part.</summary>
    public RotaryOptions Position { get; init; } = new(Layout: RotaryLayout.Interleaved);

    /// <summary>The norms of the latents.</summary>
    public RmsNormOptions Norm { get; init; } = new();

    /// <summary>Multiplies the scores beyond <c>1/√(nopeHeadDim + ropeHeadDim)</c>, as DeepSeek's YaRN does.</summary>
    public float ScoreFactor { get; init; } = 1;

    /// <inheritdoc/>
    public override Attention Build(PartBuilder part, AttentionRole role, int memoryWidth = 0) => new LatentAttention(this, part, role);
}

/// <summary>
/// Multi-head latent attention: keys and values of all heads are linear maps of one narrow latent, <c>c = norm(W_a x)</c>;
/// a further, shared part of the keys carries rotary positions. While decoding only c and that part are cached, O((rank +
/// position width) · length), and the maps from c are absorbed: <c>qᵀ (W_k c) = (W_kᵀ q)ᵀ c</c>, so that attention runs on the
/// latents themselves as one key head, and <c>W_v</c> is applied to what comes out.
/// <para>DeepSeek-AI 2024 (DeepSeek-V2), <see href="https://arxiv.org/abs/2405.04434"/>, section 2.1.</para>
/// </summary>
public sealed class LatentAttention : Attention, ICached
{
    private readonly LatentOptions _options;
    private readonly AttentionRole _role;
    private readonly AttentionSettings _settings;
    private readonly Linear _queries;
    private readonly Linear? _queryLatent;
    private readonly Norm? _queryNorm;
    private readonly Linear _latent;
    private readonly Norm _latentNorm;
    private readonly Weight _keysAndValues;
    private readonly Linear _output;
    private readonly PositionEncoding _position;

    internal LatentAttention(LatentOptions options, PartBuilder part, AttentionRole role)
    {
        part.Require(role != AttentionRole.Cross, "kind", "latent", "a kind that reads another sequence, such as multi-head, for cross-attention");
        part.Require(options.Heads is >= 1 and <= 65536, "heads", options.Heads, "1 to 65536");
        part.Require(options.KvLoraRank is >= 1 and <= 65536, "kvLoraRank", options.KvLoraRank, "1 to 65536");
        part.Require(options.QLoraRank is null or (>= 1 and <= 65536), "qLoraRank", options.QLoraRank, "1 to 65536");
        part.Require(options.NopeHeadDim is >= 1 and <= 16384, "nopeHeadDim", options.NopeHeadDim, "1 to 16384");
        part.Require(options.RopeHeadDim is >= 2 and <= 16384 && options.RopeHeadDim % 2 == 0, "ropeHeadDim", options.RopeHeadDim, "even, 2 to 16384");
        part.Require(options.VHeadDim is >= 1 and <= 16384, "vHeadDim", options.VHeadDim, "1 to 16384");
        part.Require(options.ScoreFactor is > 0 and < float.PositiveInfinity, "scoreFactor", options.ScoreFactor, "greater than 0");

        (_options, _role) = (options, role);
        var (heads, rank) = (options.Heads, options.KvLoraRank);
        var queryWidth = options.NopeHeadDim + options.RopeHeadDim;
        _settings = new AttentionSettings { Scale = options.ScoreFactor / MathF.Sqrt(queryWidth) };
        if (options.QLoraRank is { } qLoraRank)
        {
            _queryLatent = Own("q_a_proj", new Linear(part.At("q_a_proj"), part.Width, qLoraRank, options.Bias));
            _queryNorm = Own("q_a_layernorm", options.Norm.Build(part.At("norm") with { Width = qLoraRank }));
            _queries = Own("q_b_proj", new Linear(part.At("q_b_proj"), qLoraRank, heads * queryWidth));
        }
        else
        {
            _queries = Own("q_proj", new Linear(part.At("q_proj"), part.Width, heads * queryWidth));
        }

        _latent = Own("kv_a_proj_with_mqa", new Linear(part.At("kv_a_proj_with_mqa"), part.Width, rank + options.RopeHeadDim, options.Bias));
        _latentNorm = Own("kv_a_layernorm", options.Norm.Build(part.At("norm") with { Width = rank }));
        _keysAndValues = Own(
            "kv_b_proj.weight", new Weight(part.Matrix("kv_b_proj", heads * (options.NopeHeadDim + options.VHeadDim), rank, mayBeStored: true)));
        _output = Own("o_proj", new Linear(
            part.At("o_proj"), heads * options.VHeadDim, part.Width, options.Bias, part.OutputDeviation(heads * options.VHeadDim)));
        _position = Own("position", options.Position.Build(part.At("position") with { Width = options.RopeHeadDim }));
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, ForwardContext context)
    {
        var (batch, length) = (x.Shape[0], x.Shape[1]);
        using var read = Activations.Of(x);
        var queries = (_queryLatent is null ? _queries.Forward(read, context) : _queries.Forward(_queryNorm!.Forward(_queryLatent.Forward(read, context)), context))
            .Reshape([batch, length, _options.Heads, _options.NopeHeadDim + _options.RopeHeadDim]);
        var content = Op.Columns(queries, 0, _options.NopeHeadDim);
        var placed = _position.Mark(Op.Columns(queries, _options.NopeHeadDim, _options.RopeHeadDim), context);

        var narrow = _latent.Forward(read, context);
        var latent = _latentNorm.Forward(Op.Columns(narrow, 0, _options.KvLoraRank));
        var shared = _position.Mark(
            Op.Columns(narrow, _options.KvLoraRank, _options.RopeHeadDim).Reshape([batch, length, 1, _options.RopeHeadDim]), context);

        var attended = Decodes(context, latent, shared) is { } cache
            ? Absorbed(content, placed, cache, context)
            : Expanded(content, placed, latent, shared, context);
        return _output.Forward(attended.Reshape([batch, length, _options.Heads * _options.VHeadDim]), context);
    }

    /// <inheritdoc/>
    public Cache? CreateCache(CacheSize size) => _role == AttentionRole.Causal
        ? new KeyValueCache(size.Rows, size.Tokens, heads: 1, _options.KvLoraRank + _options.RopeHeadDim, valueWidth: 0)
        : null;

    /// <summary>How many bytes less its cache takes than one of a key (without the position part) and a value for each head.</summary>
    public long BytesSaved(CacheSize size) => CreateCache(size) is { } cache
        ? ((long)size.Rows * size.Tokens * _options.Heads * (_options.NopeHeadDim + _options.VHeadDim) * sizeof(float)) - cache.Bytes
        : 0;

    /// <inheritdoc/>
    public override double FlopsPerToken(int length)
    {
        var visible = _role == AttentionRole.Causal ? (length + 1) / 2.0 : length;
        return base.FlopsPerToken(length) + (2.0 * _options.Heads * (_options.NopeHeadDim + _options.RopeHeadDim + _options.VHeadDim) * visible);
    }

    /// <summary>Remembers new tokens while decoding; the cache where earlier ones are in it, so that they must be read from there.</summary>
    private KeyValueCache? Decodes(ForwardContext context, Tensor latent, Tensor shared)
    {
        if (context.Caches is null || _role != AttentionRole.Causal) return null;
        var cache = (KeyValueCache)context.Caches.Of(this);
        var (batch, length) = (latent.Shape[0], latent.Shape[1]);
        var isFirst = cache.Count == 0;
        var keys = Op.Join(latent.Reshape([batch, length, 1, _options.KvLoraRank]), shared);
        cache.Write(keys, Tensor.Temporary([batch, length, 1, 0]), context.Positions);
        return isFirst && length > 1 ? null : cache;
    }

    /// <summary>With keys and values of every head made from the latents: the cheaper way where as many queries look at them.</summary>
    private Tensor Expanded(Tensor content, Tensor placed, Tensor latent, Tensor shared, ForwardContext context)
    {
        var (batch, length) = (latent.Shape[0], latent.Shape[1]);
        using var read = Activations.Of(latent);
        var expanded = _keysAndValues.Apply(read, null, context).Reshape([batch, length, _options.Heads, _options.NopeHeadDim + _options.VHeadDim]);
        var keys = Op.Join(Op.Columns(expanded, 0, _options.NopeHeadDim), shared);
        var values = Op.Columns(expanded, _options.NopeHeadDim, _options.VHeadDim);
        var mask = _role == AttentionRole.Causal ? BlockMask.Causal(length, length) : BlockMask.Full(length, length);
        if (context.Lengths is not null) mask = mask.Lengths(context.Lengths);
        if (context.Segments is not null) mask = mask.Segments(context.Segments, context.Segments);
        return Op.Attention(Op.Join(content, placed), keys, values, mask, _settings);
    }

    /// <summary>On the cached latents, which are one head of keys, and of values but for the position part.</summary>
    private Tensor Absorbed(Tensor content, Tensor placed, KeyValueCache cache, ForwardContext context)
    {
        var queries = Op.Join(_keysAndValues.ApplyPerHead(content, 0, _options.NopeHeadDim, transposed: false), placed);
        var latents = cache.Keys.First(content.Shape[0]);
        var attended = Op.Attention(
            queries, latents, latents, CachedMask.Causal(context, cache.Count), _settings with { ValueWidth = _options.KvLoraRank });
        return _keysAndValues.ApplyPerHead(attended, _options.NopeHeadDim, _options.VHeadDim, transposed: true);
    }
}

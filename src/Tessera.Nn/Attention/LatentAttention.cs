using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Caches;
using Tessera.Nn.Mixers;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn.Attention;

/// <summary>Options of <see cref="LatentAttention"/>; <c>"kind": "latent"</c> in a recipe. Sizes are named as in DeepSeek's papers; those
/// not said follow from the width as they do there.</summary>
/// <param name="Heads">Heads, 1 to 65,536; as many as multi-head attention would have unless said.</param>
/// <param name="KvLoraRank">The width of the latent that keys and values are made from, and that is cached; 1 to 65,536; four times
/// <c>nopeHeadDim</c> unless said.</param>
/// <param name="NopeHeadDim">The width of a head's query and key without positions; 1 to 16,384; <c>width / heads</c> unless said.</param>
/// <param name="RopeHeadDim">The width of the part with rotary positions, which all heads share as a key; even, 2 to 16,384; half of
/// <c>nopeHeadDim</c> unless said.</param>
/// <param name="VHeadDim">The width of a head's value; 1 to 16,384; as <c>nopeHeadDim</c> unless said.</param>
public sealed record LatentOptions(
    int? Heads = null, int? KvLoraRank = null, int? NopeHeadDim = null, int? RopeHeadDim = null, int? VHeadDim = null) : MixerOptions
{
    /// <summary>The width of the latent that queries are made from; straight from the hidden states where null.</summary>
    public int? QLoraRank { get; init; }

    /// <summary>Whether the maps from the hidden states to the latents and back to them have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>Rotary positions of the position part.</summary>
    public RotaryOptions Position { get; init; } = new(Layout: RotaryLayout.Interleaved);

    /// <summary>The norms of the latents.</summary>
    public RmsNormOptions Norm { get; init; } = new();

    /// <summary>Which keys a query looks at.</summary>
    public AttentionPattern Pattern { get; init; } = new FullPattern();

    /// <summary>Multiplies the scores beyond <c>1/√(nopeHeadDim + ropeHeadDim)</c>, as DeepSeek's YaRN does.</summary>
    public float ScoreFactor { get; init; } = 1;

    internal override string PartName => "attention";

    /// <inheritdoc/>
    public override Mixer Build(PartBuilder part, MixerRole role, int memoryWidth = 0) => new LatentAttention(this, part, role);

    /// <inheritdoc/>
    public override MixerOptions ForCross(int width) =>
        new MultiHeadOptions(SizesIn(width).Heads) { HeadWidth = SizesIn(width).VHeadDim, Bias = Bias };

    /// <summary>The sizes in hidden states of a width.</summary>
    public LatentSizes SizesIn(int width)
    {
        var heads = Heads ?? HeadSizes.HeadsOf(width);
        var nope = NopeHeadDim ?? Math.Max(1, width / Math.Max(1, heads));
        return new LatentSizes(heads, KvLoraRank ?? 4 * nope, nope, RopeHeadDim ?? Math.Max(2, nope / 4 * 2), VHeadDim ?? nope);
    }

    /// <inheritdoc/>
    public override MixerOptions Canonical(int width)
    {
        var sizes = SizesIn(width);
        return this with
        {
            Heads = sizes.Heads, KvLoraRank = sizes.KvLoraRank, NopeHeadDim = sizes.NopeHeadDim, RopeHeadDim = sizes.RopeHeadDim,
            VHeadDim = sizes.VHeadDim,
        };
    }

    internal void Check(PartBuilder part, MixerRole role)
    {
        var (heads, rank, nope, rope, value) = SizesIn(part.Width);
        part.Require(
            role != MixerRole.Cross, "kind", "latent", "a kind that reads another sequence, such as multi-head, for cross-attention");
        part.Require(heads is >= 1 and <= 65536, "heads", heads, "1 to 65536");
        part.Require(rank is >= 1 and <= 65536, "kvLoraRank", rank, "1 to 65536");
        part.Require(QLoraRank is null or (>= 1 and <= 65536), "qLoraRank", QLoraRank, "1 to 65536");
        part.Require(nope is >= 1 and <= 16384, "nopeHeadDim", nope, "1 to 16384");
        part.Require(rope is >= 2 and <= 16384 && rope % 2 == 0, "ropeHeadDim", rope, "even, 2 to 16384");
        part.Require(value is >= 1 and <= 16384, "vHeadDim", value, "1 to 16384");
        part.Require(ScoreFactor is > 0 and < float.PositiveInfinity, "scoreFactor", ScoreFactor, "greater than 0");
        Pattern.Check(part.At("pattern"), role);
    }
}

/// <summary>The sizes of latent attention.</summary>
/// <param name="Heads">Heads.</param>
/// <param name="KvLoraRank">The latent that is cached.</param>
/// <param name="NopeHeadDim">A head's query and key without positions.</param>
/// <param name="RopeHeadDim">The part with positions.</param>
/// <param name="VHeadDim">A head's value.</param>
public readonly record struct LatentSizes(int Heads, int KvLoraRank, int NopeHeadDim, int RopeHeadDim, int VHeadDim);

/// <summary>
/// Multi-head latent attention: keys and values of all heads are linear maps of one narrow latent, <c>c = norm(W_a x)</c>;
/// a further, shared part of the keys carries rotary positions. While decoding only c and that part are cached, O((rank +
/// position width) · length), and the maps from c are absorbed: <c>qᵀ (W_k c) = (W_kᵀ q)ᵀ c</c>, so that attention runs on the
/// latents themselves as one key head, and <c>W_v</c> is applied to what comes out.
/// <para>DeepSeek-AI 2024 (DeepSeek-V2), <see href="https://arxiv.org/abs/2405.04434"/>, section 2.1.</para>
/// </summary>
public sealed class LatentAttention : Mixer, ICached
{
    private readonly LatentSizes _sizes;
    private readonly MixerRole _role;
    private readonly AttentionPattern _pattern;
    private readonly PatternContext _patternContext;
    private readonly AttentionSettings _settings;
    private readonly Linear _queries;
    private readonly Linear? _queryLatent;
    private readonly Norm? _queryNorm;
    private readonly Linear _latent;
    private readonly Norm _latentNorm;
    private readonly Weight _keysAndValues;
    private readonly Linear _output;
    private readonly PositionEncoding _position;

    internal LatentAttention(LatentOptions options, PartBuilder part, MixerRole role)
    {
        options.Check(part, role);
        (_sizes, _role, _pattern, _patternContext) = (
            options.SizesIn(part.Width), role, options.Pattern, new PatternContext(role, part.Length));
        var (heads, rank, nope, rope, value) = _sizes;
        var queryWidth = nope + rope;
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

        _latent = Own("kv_a_proj_with_mqa", new Linear(part.At("kv_a_proj_with_mqa"), part.Width, rank + rope, options.Bias));
        _latentNorm = Own("kv_a_layernorm", options.Norm.Build(part.At("norm") with { Width = rank }));
        _keysAndValues = Own(
            "kv_b_proj.weight", new Weight(part.Matrix("kv_b_proj", heads * (nope + value), rank, mayBeStored: true)));
        _output = Own("o_proj", new Linear(
            part.At("o_proj"), heads * value, part.Width, options.Bias, part.OutputDeviation(heads * value)));
        _position = Own("position", options.Position.Build(part.At("position") with { Width = rope }));
    }

    /// <inheritdoc/>
    public override void Prepare(ForwardContext context)
    {
        _position.Prepare(context);
        if (context.Decoding is null || _role != MixerRole.Causal) context.Mask(_pattern, _patternContext);
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, ForwardContext context)
    {
        var (batch, length) = (x.Shape[0], x.Shape[1]);
        using var read = Activations.Of(x);
        var queries = (
            _queryLatent is null
                ? _queries.Forward(read, context)
                : _queries.Forward(_queryNorm!.Forward(_queryLatent.Forward(read, context)), context)
        ).Reshape([batch, length, _sizes.Heads, _sizes.NopeHeadDim + _sizes.RopeHeadDim]);
        var content = Op.Columns(queries, 0, _sizes.NopeHeadDim);
        var placed = _position.Mark(Op.Columns(queries, _sizes.NopeHeadDim, _sizes.RopeHeadDim), context);

        var narrow = _latent.Forward(read, context);
        var latent = _latentNorm.Forward(Op.Columns(narrow, 0, _sizes.KvLoraRank));
        var shared = _position.Mark(
            Op.Columns(narrow, _sizes.KvLoraRank, _sizes.RopeHeadDim).Reshape([batch, length, 1, _sizes.RopeHeadDim]), context);

        var attended = context.Decoding is not null && _role == MixerRole.Causal
            ? Decode(content, placed, latent, shared, context)
            : Expanded(content, placed, latent, shared, context.Mask(_pattern, _patternContext), context);
        return _output.Forward(attended.Reshape([batch, length, _sizes.Heads * _sizes.VHeadDim]), context);
    }

    /// <inheritdoc/>
    public CacheLayout? CacheLayout => _role == MixerRole.Causal
        ? new TokenCacheLayout(Heads: 1, _sizes.KvLoraRank + _sizes.RopeHeadDim, ValueWidth: 0) { Keeps = _pattern.Keeps(_patternContext) }
        : null;

    /// <summary>What it would remember, were there a key (without the position part) and a value for each head.</summary>
    public CacheLayout ExpandedLayout =>
        new TokenCacheLayout(_sizes.Heads, _sizes.NopeHeadDim, _sizes.VHeadDim) { Keeps = _pattern.Keeps(_patternContext) };

    /// <inheritdoc/>
    public override double FlopsPerToken(int length)
    {
        var visible = _pattern.MeanVisibleKeys(length, _patternContext);
        return base.FlopsPerToken(length) + (2.0 * _sizes.Heads * (_sizes.NopeHeadDim + _sizes.RopeHeadDim + _sizes.VHeadDim) * visible);
    }

    /// <summary>With keys and values of every head made from the latents: the cheaper way where as many queries look at them.</summary>
    private Tensor Expanded(Tensor content, Tensor placed, Tensor latent, Tensor shared, BlockMask mask, ForwardContext context)
    {
        var (batch, length) = (latent.Shape[0], latent.Shape[1]);
        using var read = Activations.Of(latent);
        var expanded = _keysAndValues
            .Apply(read, null, context)
            .Reshape([batch, length, _sizes.Heads, _sizes.NopeHeadDim + _sizes.VHeadDim]);
        var keys = Op.Join(Op.Columns(expanded, 0, _sizes.NopeHeadDim), shared);
        var values = Op.Columns(expanded, _sizes.NopeHeadDim, _sizes.VHeadDim);
        return Op.Attention(Op.Join(content, placed), keys, values, mask, _settings);
    }

    /// <summary>Of a step's tokens, [1, tokens, …]; sequences that begin with several tokens have no others to look at.</summary>
    private Tensor Decode(Tensor content, Tensor placed, Tensor latent, Tensor shared, ForwardContext context)
    {
        var step = context.Decoding!;
        var cache = (TokenCache)step.Caches.Of(this);
        cache.Append(step, Op.Join(latent.Reshape([1, step.Tokens, 1, _sizes.KvLoraRank]), shared), values: null);
        var attended = new StepResult(step, content.Shape);
        foreach (var run in step.Runs)
        {
            var (queries, positioned) = (StepResult.Part(content, run), StepResult.Part(placed, run));
            attended.Add(run, run.TokensEach > 1 && step.IsFirstOf(run)
                    ? Expanded(
                        queries, positioned, StepResult.Part(latent, run), StepResult.Part(shared, run),
                        context.StepMask(_pattern, _patternContext, run, cache), context)
                    : Absorbed(queries, positioned, cache, run, context));
        }

        return attended.Whole;
    }

    /// <summary>On the cached latents, which are one head of keys, and of values but for the position part.</summary>
    private Tensor Absorbed(Tensor content, Tensor placed, TokenCache cache, StepRun run, ForwardContext context)
    {
        var queries = Op.Join(_keysAndValues.ApplyPerHead(content, 0, _sizes.NopeHeadDim, transposed: false), placed);
        var mask = context.StepMask(_pattern, _patternContext, run, cache);
        var table = cache.Table(context.Decoding!, run, mask.Keys);
        var settings = _settings with { ValueWidth = _sizes.KvLoraRank };
        var attended = Op.Attention(queries, cache.Keys, cache.Values, table, mask, settings);
        return _keysAndValues.ApplyPerHead(attended, _sizes.NopeHeadDim, _sizes.VHeadDim, transposed: true);
    }
}

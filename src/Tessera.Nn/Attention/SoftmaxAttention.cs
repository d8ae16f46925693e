using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Caches;
using Tessera.Nn.Mixers;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Nn.Attention;

/// <summary>
/// <c>o(softmax(q kᵀ / √d + bias + mask) v)</c> with linear q, k, v and o. An <see cref="AttentionPattern"/> draws the mask, a
/// <see cref="PositionEncoding"/> marks queries and keys or adds to scores. Cached decoding keeps keys and values of the tokens that the
/// pattern may still look at.
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>, section 3.2; fewer key heads: Ainslie et al. 2023,
/// <see href="https://arxiv.org/abs/2305.13245"/>; sinks: Xiao et al. 2023, <see href="https://arxiv.org/abs/2309.17453"/>.</para>
/// </summary>
public sealed class SoftmaxAttention : Mixer, ICached, IReadsMemory
{
    private readonly HeadSizes _sizes;
    private readonly MixerRole _role;
    private readonly AttentionPattern _pattern;
    private readonly PatternContext _patternContext;
    private readonly Linear _queries;
    private readonly Linear _keys;
    private readonly Linear _values;
    private readonly Linear _output;
    private readonly Norm? _queryNorm;
    private readonly Norm? _keyNorm;
    private readonly bool _normsWhole;
    private readonly PositionEncoding? _position;
    private readonly AttentionSettings _settings;
    private readonly Parameter? _sinks;

    internal SoftmaxAttention(MultiHeadOptions options, PartBuilder part, MixerRole role, int memoryWidth)
    {
        options.Check(part);
        options.Pattern.Check(part.At("pattern"), role);
        (_sizes, _role, _pattern) = (options.SizesIn(part.Width), role, options.Pattern);
        _patternContext = new PatternContext(role, part.Length);
        var (heads, keyValueHeads, headWidth) = _sizes;
        var source = role == MixerRole.Cross ? memoryWidth : part.Width;
        _queries = Project("q_proj", part.Width, heads * headWidth, options.Bias);
        _keys = Project("k_proj", source, keyValueHeads * headWidth, options.Bias);
        _values = Project("v_proj", source, keyValueHeads * headWidth, options.Bias);
        _output = Project(
            "o_proj", heads * headWidth, part.Width, options.OutputBias ?? options.Bias, part.OutputDeviation(heads * headWidth));
        if (options.QueryKeyNorm is { } norm)
        {
            _normsWhole = options.WholeQueryKeyNorm;
            _queryNorm = Own("q_norm", NormOf(norm, heads));
            _keyNorm = Own("k_norm", NormOf(norm, keyValueHeads));
        }

        _settings = new AttentionSettings { Scale = options.ScoreScale, SoftCap = options.SoftCap };
        if (options.Sinks) _sinks = Own("sinks", PartBuilder.Constant(heads, 0));
        if (options.Position is null || role == MixerRole.Cross) return;
        if (options.Position.IsShared && part.SharedPositions?.TryGetValue(options.Position, out var shared) == true)
        {
            _position = shared;
            return;
        }

        _position = Own("position", options.Position.Build(part.At("position") with { Width = headWidth }, heads));
        if (options.Position.IsShared && part.SharedPositions is { } all) all[options.Position] = _position;
        part.Require(
            !_position.ActsOnEmbeddings, "position.kind", Parts.NameOf(options.Position),
            "a kind that acts on queries and keys or on scores, such as rotary");

        Norm NormOf(NormOptions norm, int count)
        {
            var normed = part.At("queryKeyNorm") with { Width = _normsWhole ? count * headWidth : headWidth };
            return options.PerHeadQueryKeyNorm ? new PerHeadNorm(norm, normed, count) : norm.Build(normed);
        }

        Linear Project(string name, int inputs, int outputs, bool bias, double? deviation = null) =>
            Own(name, new Linear(part.At(name), inputs, outputs, bias, deviation));
    }

    /// <inheritdoc/>
    public CacheLayout? CacheLayout => _role == MixerRole.Bidirectional
        ? null
        : new TokenCacheLayout(_sizes.KeyValueHeads, _sizes.HeadWidth, _sizes.HeadWidth)
        {
            Keeps = _pattern.Keeps(_patternContext), IsOfMemory = _role == MixerRole.Cross,
        };

    /// <inheritdoc/>
    public override void Prepare(ForwardContext context)
    {
        _position?.Prepare(context);
        if (!IsCached(context)) context.Mask(_pattern, _patternContext);
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, ForwardContext context)
    {
        using var shared = Activations.Of(x);
        var settings = _settings with { Bias = _position?.Bias(_role == MixerRole.Bidirectional), Sinks = _sinks?.Value };
        var attended = _role == MixerRole.Cross ? ToMemory(shared, context, settings) : ToSelf(shared, context, settings);
        return _output.Forward(attended.Reshape([x.Shape[0], x.Shape[1], _sizes.Heads * _sizes.HeadWidth]), context);
    }

    /// <inheritdoc/>
    public void Remember(Tensor memory, ReadOnlySpan<int> lengths, ReadOnlySpan<int> sequences, CacheSet caches, ForwardContext context)
    {
        if (_role != MixerRole.Cross) return;
        using var shared = Activations.Of(memory);
        var (k, v) = Linear.Forward(shared, _keys, _values, context);
        var (keys, values) = (Keys(k), Values(v));
        var cache = (TokenCache)caches.Of(this);
        for (var row = 0; row < sequences.Length; row++) cache.Append(sequences[row], keys, values, row * memory.Shape[1], lengths[row]);
    }

    /// <inheritdoc/>
    public override double FlopsPerToken(int length) =>
        base.FlopsPerToken(length) + (4.0 * _sizes.Heads * _sizes.HeadWidth * _pattern.MeanVisibleKeys(length, _patternContext));

    private bool IsCached(ForwardContext context) => context.Decoding is not null && _role != MixerRole.Bidirectional;

    private Tensor Split(Tensor x, int heads) => x.Reshape([x.Shape[0], x.Shape[1], heads, _sizes.HeadWidth]);

    /// <summary>Heads of their own, whose norm is taken before or after they are cut.</summary>
    private Tensor Normed(Norm? norm, Tensor x, int heads)
    {
        if (norm is null) return Split(x, heads);
        return _normsWhole ? Split(norm.Forward(x), heads) : norm.Forward(Split(x, heads));
    }

    private Tensor Mark(Tensor x, ForwardContext context) => _position?.Mark(x, context) ?? x;

    private Tensor Queries(Tensor queries, ForwardContext context) => Mark(Normed(_queryNorm, queries, _sizes.Heads), context);

    private Tensor Keys(Tensor keys) => Normed(_keyNorm, keys, _sizes.KeyValueHeads);

    private Tensor Values(Tensor values) => Split(values, _sizes.KeyValueHeads);

    private Tensor ToSelf(Activations x, ForwardContext context, in AttentionSettings settings)
    {
        var (q, k, v) = Linear.Forward(x, _queries, _keys, _values, context);
        var (queries, keys, values) = (Queries(q, context), Mark(Keys(k), context), Values(v));
        if (!IsCached(context)) return Op.Attention(queries, keys, values, context.Mask(_pattern, _patternContext), settings);
        var step = context.Decoding!;
        ((TokenCache)step.Caches.Of(this)).Append(step, keys, values);
        return Decode(queries, context, settings);
    }

    private Tensor ToMemory(Activations x, ForwardContext context, in AttentionSettings settings)
    {
        var queries = Queries(_queries.Forward(x, context), context);
        if (IsCached(context)) return Decode(queries, context, settings);
        var mask = context.Mask(_pattern, _patternContext);
        using var shared = Activations.Of(context.Memory!);
        var (keys, values) = Linear.Forward(shared, _keys, _values, context);
        return Op.Attention(queries, Keys(keys), Values(values), mask, settings);
    }

    /// <summary>The queries of a step's tokens, [1, tokens, heads, width], on what each one's sequence has in the cache.</summary>
    private Tensor Decode(Tensor queries, ForwardContext context, in AttentionSettings settings)
    {
        var step = context.Decoding!;
        var cache = (TokenCache)step.Caches.Of(this);
        var attended = new StepResult(step, queries.Shape);
        foreach (var run in step.Runs)
        {
            var mask = context.StepMask(_pattern, _patternContext, run, cache);
            var table = cache.Table(step, run, mask.Keys);
            attended.Add(run, Op.Attention(StepResult.Part(queries, run), cache.Keys, cache.Values, table, mask, settings));
        }

        return attended.Whole;
    }
}

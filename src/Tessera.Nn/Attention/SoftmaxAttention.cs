using Tessera.Nn.Attention.Patterns;
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
public sealed class SoftmaxAttention : Mixer, ICached
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
        _output = Project("o_proj", heads * headWidth, part.Width, options.OutputBias ?? options.Bias, part.OutputDeviation(heads * headWidth));
        if (options.QueryKeyNorm is { } norm)
        {
            var head = part.At("queryKeyNorm") with { Width = headWidth };
            (_queryNorm, _keyNorm) = (Own("q_norm", norm.Build(head)), Own("k_norm", norm.Build(head)));
        }

        _settings = new AttentionSettings { Scale = options.ScoreScale, SoftCap = options.SoftCap };
        if (options.Sinks) _sinks = Own("sinks", PartBuilder.Constant(heads, 0));
        if (options.Position is null || role == MixerRole.Cross) return;
        _position = Own("position", options.Position.Build(part.At("position") with { Width = headWidth }, heads));
        part.Require(
            !_position.ActsOnEmbeddings, "position.kind", options.Position.GetType().Name,
            "a kind that acts on queries and keys or on scores, such as rotary");

        Linear Project(string name, int inputs, int outputs, bool bias, double? deviation = null) =>
            Own(name, new Linear(part.At(name), inputs, outputs, bias, deviation));
    }

    /// <inheritdoc/>
    public override void Prepare(ForwardContext context)
    {
        _position?.Prepare(context);
        if (_role != MixerRole.Cross && !IsCached(context)) context.Mask(_pattern, _patternContext);
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, ForwardContext context)
    {
        using var shared = Activations.Of(x);
        var queries = Mark(Normed(_queryNorm, Split(_queries.Forward(shared, context), _sizes.Heads)), context);
        var (keys, values, mask) = _role == MixerRole.Cross ? FromMemory(x.Shape[1], context) : FromSelf(shared, x.Shape[0], context);
        var attended = Op.Attention(queries, keys, values, mask, _settings with
        {
            Bias = _position?.Bias(_role == MixerRole.Bidirectional),
            Sinks = _sinks?.Value,
        });
        return _output.Forward(attended.Reshape([x.Shape[0], x.Shape[1], _sizes.Heads * _sizes.HeadWidth]), context);
    }

    /// <inheritdoc/>
    public Cache? CreateCache(CacheSize size) => _role == MixerRole.Bidirectional ? null : new KeyValueCache(
        size.Rows, _role == MixerRole.Cross ? size.MemoryTokens : size.Tokens, _sizes.KeyValueHeads, _sizes.HeadWidth, _sizes.HeadWidth);

    /// <inheritdoc/>
    public override double FlopsPerToken(int length) =>
        base.FlopsPerToken(length) + (4.0 * _sizes.Heads * _sizes.HeadWidth * _pattern.MeanVisibleKeys(length, _patternContext));

    private bool IsCached(ForwardContext context) => context.Caches is not null && _role == MixerRole.Causal;

    private Tensor Split(Tensor x, int heads) => x.Reshape([x.Shape[0], x.Shape[1], heads, _sizes.HeadWidth]);

    private static Tensor Normed(Norm? norm, Tensor x) => norm?.Forward(x) ?? x;

    private Tensor Mark(Tensor x, ForwardContext context) => _position?.Mark(x, context) ?? x;

    private (Tensor Keys, Tensor Values, BlockMask Mask) FromSelf(Activations x, int rows, ForwardContext context)
    {
        var keys = Mark(Normed(_keyNorm, Split(_keys.Forward(x, context), _sizes.KeyValueHeads)), context);
        var values = Split(_values.Forward(x, context), _sizes.KeyValueHeads);
        if (!IsCached(context)) return (keys, values, context.Mask(_pattern, _patternContext));
        var cache = (KeyValueCache)context.Caches!.Of(this);
        cache.Write(keys, values, context.Positions);
        var mask = _pattern.Narrow(CachedMask.Causal(context, cache.Count), _patternContext);
        return (cache.Keys.First(rows), cache.Values.First(rows), mask);
    }

    private (Tensor Keys, Tensor Values, BlockMask Mask) FromMemory(int queries, ForwardContext context)
    {
        var memory = context.Memory ?? throw new InvalidOperationException("cross-attention needs ForwardContext.Memory");
        var (batch, length) = (memory.Shape[0], memory.Shape[1]);
        using var shared = Activations.Of(memory);
        Tensor keys, values;
        if (context.Caches?.Of(this) is KeyValueCache cache)
        {
            if (cache.Count == 0) cache.Write(Keys(), Values(), FirstPositions(batch, length));
            (keys, values) = (cache.Keys.First(batch), cache.Values.First(batch));
        }
        else
        {
            (keys, values) = (Keys(), Values());
        }

        var mask = BlockMask.Full(queries, length);
        if (context.MemoryLengths is not null) mask = mask.Lengths(context.MemoryLengths);
        return (keys, values, _pattern.Narrow(mask, _patternContext));

        Tensor Keys() => Normed(_keyNorm, Split(_keys.Forward(shared, context), _sizes.KeyValueHeads));

        Tensor Values() => Split(_values.Forward(shared, context), _sizes.KeyValueHeads);
    }

    private static Tensor FirstPositions(int rows, int length)
    {
        var positions = Tensor.Temporary([rows, length], ElementType.I32);
        positions.Ints.Clear();
        return positions;
    }
}

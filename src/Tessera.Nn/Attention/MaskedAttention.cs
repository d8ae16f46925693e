using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Nn.Attention;

/// <summary>Options of attention by softmax over the keys that a mask allows.</summary>
/// <param name="Heads">Query heads; 1 to 65,536.</param>
public abstract record MaskedOptions(int Heads) : AttentionOptions
{
    /// <summary>Key and value heads, each shared by <c>heads / keyValueHeads</c> query heads (Ainslie et al. 2023, arXiv
    /// 2305.13245); as many as <c>heads</c> where null.</summary>
    public int? KeyValueHeads { get; init; }

    /// <summary>The width of a head, 1 to 16,384; <c>width / heads</c> where null.</summary>
    public int? HeadWidth { get; init; }

    /// <summary>Whether the maps to queries, keys and values have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>Whether the map back to the stream has a bias; as <see cref="Bias"/> where null.</summary>
    public bool? OutputBias { get; init; }

    /// <summary>The norm of each head's query and key before they are marked with positions (Qwen 3); none where null.</summary>
    public NormOptions? QueryKeyNorm { get; init; }

    /// <summary>How queries and keys are marked with their positions, or what their distance adds to scores; nothing where null.</summary>
    public PositionOptions? Position { get; init; }

    /// <summary>What products of queries and keys are multiplied by, greater than 0; <c>1/√headWidth</c> where null.</summary>
    public float? ScoreScale { get; init; }

    /// <summary>Where above 0, a score s becomes <c>cap · tanh(s / cap)</c> (Gemma 2, arXiv 2408.00118).</summary>
    public float SoftCap { get; init; }

    /// <summary>Whether each head has a learned score more, <c>sinks</c>, which takes probability and has no value, so that a head
    /// may look at nothing.</summary>
    public bool Sinks { get; init; }
}

/// <summary>
/// <c>o(softmax(q kᵀ / √d + bias + mask) v)</c> with linear q, k, v and o: everything but the mask, which each kind of attention
/// draws for itself. Cached decoding keeps keys and values, O(length) a layer.
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>, section 3.2; sinks: Xiao et al. 2023,
/// <see href="https://arxiv.org/abs/2309.17453"/>.</para>
/// </summary>
public abstract class MaskedAttention : Attention, ICached
{
    private readonly int _heads;
    private readonly int _keyValueHeads;
    private readonly int _headWidth;
    private readonly Linear _queries;
    private readonly Linear _keys;
    private readonly Linear _values;
    private readonly Linear _output;
    private readonly Norm? _queryNorm;
    private readonly Norm? _keyNorm;
    private readonly PositionEncoding? _position;
    private readonly AttentionSettings _settings;
    private readonly Parameter? _sinks;

    /// <summary>Builds the projections and checks the options that all kinds share.</summary>
    protected MaskedAttention(MaskedOptions options, PartBuilder part, AttentionRole role, int memoryWidth)
    {
        part.Require(options.Heads is >= 1 and <= 65536, "heads", options.Heads, "1 to 65536");
        part.Require(
            options.HeadWidth is not null || part.Width % options.Heads == 0, "heads", options.Heads, $"a divisor of the width {part.Width}, or a headWidth");
        (_heads, _keyValueHeads) = (options.Heads, options.KeyValueHeads ?? options.Heads);
        part.Require(_keyValueHeads >= 1 && _heads % _keyValueHeads == 0, "keyValueHeads", _keyValueHeads, $"a divisor of heads, {_heads}");
        _headWidth = options.HeadWidth ?? part.Width / options.Heads;
        part.Require(_headWidth is >= 1 and <= 16384, "headWidth", _headWidth, "1 to 16384");

        Role = role;
        var source = role == AttentionRole.Cross ? memoryWidth : part.Width;
        _queries = Project("q_proj", part.Width, _heads * _headWidth, options.Bias);
        _keys = Project("k_proj", source, _keyValueHeads * _headWidth, options.Bias);
        _values = Project("v_proj", source, _keyValueHeads * _headWidth, options.Bias);
        _output = Project("o_proj", _heads * _headWidth, part.Width, options.OutputBias ?? options.Bias, part.OutputDeviation(_heads * _headWidth));
        if (options.QueryKeyNorm is { } norm)
        {
            var head = part.At("queryKeyNorm") with { Width = _headWidth };
            (_queryNorm, _keyNorm) = (Own("q_norm", norm.Build(head)), Own("k_norm", norm.Build(head)));
        }

        _settings = Settings(options, part);
        if (options.Sinks) _sinks = Own("sinks", PartBuilder.Constant(_heads, 0));
        if (options.Position is null || role == AttentionRole.Cross) return;
        _position = Own("position", options.Position.Build(part.At("position") with { Width = _headWidth }, _heads));
        part.Require(
            !_position.ActsOnEmbeddings, "position.kind", options.Position.GetType().Name, "a kind that acts on queries and keys or on scores, such as rotary");

        Linear Project(string name, int inputs, int outputs, bool bias, double? deviation = null) =>
            Own(name, new Linear(part.At(name), inputs, outputs, bias, deviation));
    }

    /// <summary>What this attention is for.</summary>
    protected AttentionRole Role { get; }

    /// <inheritdoc/>
    public sealed override Tensor Forward(Tensor x, ForwardContext context)
    {
        var queries = Mark(Normed(_queryNorm, Split(_queries.Forward(x, context), _heads)), context);
        var (keys, values, mask) = Role == AttentionRole.Cross ? FromMemory(x.Shape[1], context) : FromSelf(x, context);
        var attended = Op.Attention(queries, keys, values, mask, _settings with
        {
            Bias = _position?.Bias(Role == AttentionRole.Bidirectional),
            Sinks = _sinks?.Value,
        });
        return _output.Forward(attended.Reshape([x.Shape[0], x.Shape[1], _heads * _headWidth]), context);
    }

    /// <inheritdoc/>
    public Cache? CreateCache(CacheSize size) => Role == AttentionRole.Bidirectional ? null : new KeyValueCache(
        size.Rows, Role == AttentionRole.Cross ? size.MemoryTokens : size.Tokens, _keyValueHeads, _headWidth, _headWidth);

    /// <inheritdoc/>
    public override double FlopsPerToken(int length) =>
        base.FlopsPerToken(length) + (4.0 * _heads * _headWidth * MeanVisibleKeys(length));

    /// <summary>Narrows the mask of this attention's role to what its kind sees.</summary>
    /// <param name="mask">All keys that the role allows: earlier ones where causal, real ones where padded.</param>
    protected abstract BlockMask Narrow(BlockMask mask);

    /// <summary>How many keys a query of a sequence of this length sees on average, for the count of operations.</summary>
    protected virtual double MeanVisibleKeys(int length) => Role == AttentionRole.Causal ? (length + 1) / 2.0 : length;

    private static AttentionSettings Settings(MaskedOptions options, PartBuilder part)
    {
        part.Require(options.ScoreScale is null or (> 0 and < float.PositiveInfinity), "scoreScale", options.ScoreScale, "greater than 0");
        part.Require(options.SoftCap is >= 0 and < float.PositiveInfinity, "softCap", options.SoftCap, "0 (none) or above");
        return new AttentionSettings { Scale = options.ScoreScale, SoftCap = options.SoftCap };
    }

    private Tensor Split(Tensor x, int heads) => x.Reshape([x.Shape[0], x.Shape[1], heads, _headWidth]);

    private static Tensor Normed(Norm? norm, Tensor x) => norm?.Forward(x) ?? x;

    private Tensor Mark(Tensor x, ForwardContext context) => _position?.Mark(x, context) ?? x;

    private (Tensor Keys, Tensor Values, BlockMask Mask) FromSelf(Tensor x, ForwardContext context)
    {
        var keys = Mark(Normed(_keyNorm, Split(_keys.Forward(x, context), _keyValueHeads)), context);
        var values = Split(_values.Forward(x, context), _keyValueHeads);
        if (context.Caches is not null && Role == AttentionRole.Causal)
        {
            var cache = (KeyValueCache)context.Caches.Of(this);
            cache.Write(keys, values, context.Positions);
            return (cache.Keys.First(x.Shape[0]), cache.Values.First(x.Shape[0]), Narrow(CachedMask.Causal(context, cache.Count)));
        }

        var length = x.Shape[1];
        var mask = Role == AttentionRole.Causal ? BlockMask.Causal(length, length) : BlockMask.Full(length, length);
        if (context.Lengths is not null) mask = mask.Lengths(context.Lengths);
        if (context.Segments is not null) mask = mask.Segments(context.Segments, context.Segments);
        return (keys, values, Narrow(mask));
    }

    private (Tensor Keys, Tensor Values, BlockMask Mask) FromMemory(int queries, ForwardContext context)
    {
        var memory = context.Memory ?? throw new InvalidOperationException("cross-attention needs ForwardContext.Memory");
        var (batch, length) = (memory.Shape[0], memory.Shape[1]);
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
        return (keys, values, Narrow(context.MemoryLengths is null ? mask : mask.Lengths(context.MemoryLengths)));

        Tensor Keys() => Normed(_keyNorm, Split(_keys.Forward(memory, context), _keyValueHeads));

        Tensor Values() => Split(_values.Forward(memory, context), _keyValueHeads);
    }

    private static Tensor FirstPositions(int rows, int length)
    {
        var positions = Tensor.Temporary([rows, length], ElementType.I32);
        positions.Ints.Clear();
        return positions;
    }
}

namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>Operations called with tensors of any shapes and types: they either do it, where the shapes happen to fit, or say
/// what does not, by an exception of the <see cref="ArgumentException"/> family; between guard pages nothing else can pass.</summary>
internal static class FuzzedMistakes
{
    private static readonly (string Name, Func<Draw, Tensor?> Call)[] s_calls =
    [
        ("linear", draw => Op.Linear(Any(draw), Any(draw), Perhaps(draw))),
        ("product", draw => Op.Product(Any(draw), Any(draw))),
        ("grouped linear", draw => Op.GroupedLinear(Any(draw), Any(draw), Any(draw))),
        ("attention", draw => Op.Attention(Any(draw), Any(draw), Any(draw), AnyMask(draw), new AttentionSettings
            { Sinks = Perhaps(draw), Bias = AnyBias(draw), Entropy = Perhaps(draw), SoftCap = draw.Pick(0, 1, -1, float.NaN) })),
        ("block attention", draw => BlockAttention(draw)),
        ("lstm", draw =>
            Op.Lstm(
                Any(draw), new LstmWeights(Any(draw), Any(draw), Perhaps(draw), Perhaps(draw)), Perhaps(draw), Perhaps(draw),
                Perhaps(draw)).Outputs
        ),
        ("bidirectional gru", draw => Op.BidirectionalGru(
                Any(draw), new GruWeights(Any(draw), Any(draw), Perhaps(draw)), new GruWeights(Any(draw), Any(draw)), Perhaps(draw),
                Perhaps(draw)).Outputs),
        ("rms norm", draw => Op.RmsNorm(Any(draw), Any(draw), 1e-5f)),
        ("layer norm", draw => Op.LayerNorm(Any(draw), Any(draw), Perhaps(draw), 1e-5f)),
        ("activate", draw => Op.Activate(Any(draw), (Activation)draw.Between(-1, 8))),
        ("gate", draw => Op.Gate(Any(draw), Any(draw), Activation.Silu)),
        ("add", draw => Op.Add(Any(draw), Any(draw))),
        ("multiply", draw => Op.Multiply(Any(draw), Any(draw))),
        ("add row", draw => Op.AddRow(Any(draw), Any(draw))),
        ("multiply row", draw => Op.MultiplyRow(Any(draw), Any(draw))),
        ("normalize rows", draw => Op.NormalizeRows(Any(draw))),
        ("limit groups", draw => Op.LimitGroups(Any(draw), draw.Between(-1, 4), draw.Between(-1, 4), draw.Between(-1, 4))),
        ("rotary rows", draw => Op.RotaryRows(Any(draw), [1, 0.5]).Sines),
        ("take segments", draw => SegmentPlan.Of(Any(draw)).Take(Any(draw))),
        ("place segments", draw => SegmentPlan.Of(Any(draw)).Place(Any(draw))),
        ("softmax", draw => Op.Softmax(Any(draw))),
        ("cross entropy", draw => Op.CrossEntropy(Any(draw), Any(draw), new CrossEntropySettings(draw.Pick(0, 0.1f, 2)))),
        ("linear cross entropy", draw => Op.LinearCrossEntropy(Any(draw), Any(draw), Any(draw))),
        ("rotate", draw => Op.Rotate(Any(draw), Any(draw), Any(draw), Any(draw), (RotaryLayout)draw.Between(0, 2))),
        ("dropout", draw => Op.Dropout(Any(draw), draw.Pick(0.5f, 1, -1), new CounterRandom(1))),
        ("embedding", draw => Op.Embedding(Any(draw), Any(draw))),
        ("plan", draw => DispatchPlan.From(Any(draw), draw.Between(-1, 4)).Slots),
        ("dispatch", draw => Op.Dispatch(Any(draw), Plan(draw))),
        ("combine", draw => Op.Combine(Any(draw), Any(draw), Plan(draw))),
        ("balance loss", draw => Op.BalanceLoss(Any(draw), Plan(draw))),
        ("top", draw => Op.TopIndices(Any(draw), draw.Between(-1, 4))),
        ("select", draw => Op.Select(Any(draw), Any(draw), draw.Coin)),
        ("scale groups", draw => Op.ScaleGroups(Any(draw), Any(draw), draw.Between(-1, 4), draw.Between(-1, 4))),
        ("pool", draw => Op.Pool(Any(draw), (Pooling)draw.Between(-1, 4), Perhaps(draw))),
        ("fill beyond", draw => Op.FillBeyond(Any(draw), Any(draw), -1)),
        ("squared error", draw => Op.SquaredError(Any(draw), Any(draw))),
        ("update", draw =>
        {
            var batch = new UpdateBatch(1);
            batch.Add(Any(draw), Any(draw), Perhaps(draw), default);
            batch.AdamW(0.9, 0.99, 1e-8, 1);
            return null;
        }),
    ];

    /// <summary>A hundred calls of one operation with arguments at random.</summary>
    public static FuzzCase Call(Draw draw)
    {
        var (name, call) = draw.Pick(s_calls);
        return new FuzzCase($"{name} of anything, seed {draw.Seed}", _ =>
        {
            for (var i = 0; i < 100; i++)
            {
                using var scope = Arena.Current.Scope();
                using var tape = Tape.Record();
                try
                {
                    if (call(draw) is { RequiresGradient: true } y) tape.Backward(y, new float[y.Shape.Count]);
                }
                catch (ArgumentException refusal)
                {
                    Assert.NotEmpty(refusal.Message);
                }
            }
        });
    }

    /// <summary>A tensor of a few axes of few sizes, so that some fit each other; whole numbers hold what no index may be.</summary>
    private static Tensor Any(Draw draw)
    {
        var sizes = new int[draw.Between(0, 4)];
        for (var axis = 0; axis < sizes.Length; axis++) sizes[axis] = draw.Pick(0, 1, 2, 2, 3, 4, 4, 8);
        var type = draw.Pick(
            ElementType.F32, ElementType.F32, ElementType.F32, ElementType.I32, draw.Coin ? ElementType.BF16 : ElementType.F32);
        var tensor = Tensor.Allocate(new Shape(sizes), type);
        if (type == ElementType.F32 && draw.Coin) return tensor.WithGradient();
        if (type != ElementType.I32) return tensor;
        foreach (ref var value in tensor.Ints) value = draw.Pick(0, 0, 1, 1, 2, 3, 4, -1, 1000, int.MinValue, int.MaxValue);
        return tensor;
    }

    private static Tensor? Perhaps(Draw draw) => draw.Coin ? Any(draw) : null;

    /// <summary>Attention to blocks of any sizes, of which some are released, by a table of any numbers.</summary>
    private static Tensor BlockAttention(Draw draw)
    {
        TokenBlocks Pool()
        {
            var blocks = new TokenBlocks(draw.Between(1, 2), draw.Pick(1, 2, 4));
            for (var i = draw.Between(0, 3); i > 0; i--) blocks.Take();
            if (blocks.Count > 0 && draw.Coin) blocks.Release(draw.Between(0, blocks.Count - 1));
            return blocks;
        }

        var keys = Pool();
        var table = BlockTable.Of(draw.Between(0, 3), draw.Between(0, 2));
        for (var row = 0; row < table.Rows; row++)
            for (var i = 0; i < table.BlocksPerRow; i++) table[row, i] = draw.Pick(0, 0, 1, 2, BlockTable.None, 1000, int.MaxValue);
        using var paused = Tape.Pause();
        var settings = new AttentionSettings { ValueWidth = draw.Pick(null, (int?)1) };
        return Op.Attention(Any(draw), keys, draw.Coin ? keys : Pool(), table, AnyMask(draw), settings);
    }

    private static ScoreBias? AnyBias(Draw draw) => draw.Between(0, 5) switch
    {
        0 => ScoreBias.Linear(Any(draw)),
        1 => ScoreBias.Buckets(Any(draw), draw.Between(-1, 5), draw.Coin),
        2 => ScoreBias.Relative(Any(draw), Any(draw), draw.Between(-3, 3)),
        3 => ScoreBias.Dense(Any(draw)),
        _ => null,
    };

    private static BlockMask AnyMask(Draw draw)
    {
        var mask = draw.Coin
            ? BlockMask.Causal(draw.Between(0, 4), draw.Between(0, 4))
            : BlockMask.Full(draw.Between(0, 4), draw.Between(0, 4));
        return draw.Between(0, 5) switch
        {
            0 => mask.Segments(Any(draw), Any(draw)),
            1 => mask.Blocks(Any(draw), draw.Between(0, 2), draw.Between(0, 2)),
            2 => BlockMask.Table(Any(draw)),
            3 => mask.Lengths(draw.Below(6, draw.Between(0, 3))),
            _ => mask,
        };
    }

    private static DispatchPlan Plan(Draw draw) => DispatchPlan.From(Any(draw), draw.Between(1, 4));
}

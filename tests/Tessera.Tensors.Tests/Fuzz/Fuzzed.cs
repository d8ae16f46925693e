namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>Operations, and how a random case of each is drawn.</summary>
internal static class Fuzzed
{
    public static readonly Dictionary<string, Func<Draw, FuzzCase>> Operations = new()
    {
        ["product"] = FuzzedProducts.Product,
        ["linear"] = FuzzedProducts.Linear,
        ["linear-turned"] = FuzzedProducts.Turned,
        ["grouped-linear"] = FuzzedProducts.GroupedLinear,
        ["linear-bf16"] = draw => FuzzedProducts.Linear(draw).In(Precision.BF16, FuzzCase.ToleranceF32),
        ["linear-f16"] = draw => FuzzedProducts.Linear(draw).In(Precision.F16, FuzzCase.ToleranceF32),
        ["grouped-linear-bf16"] = draw => FuzzedProducts.GroupedLinear(draw).In(Precision.BF16, FuzzCase.ToleranceF32),
        ["attention-bf16"] = draw => FuzzedAttention.Attention(draw).In(Precision.BF16, FuzzCase.ToleranceRounded),
        ["lstm-bf16"] = draw => FuzzedRecurrence.Lstm(draw).In(Precision.BF16, FuzzCase.ToleranceRounded),
        ["linear-cross-entropy-bf16"] = draw => FuzzedRows.LinearCrossEntropy(draw).In(Precision.BF16, FuzzCase.ToleranceRounded),
        ["head-linear"] = FuzzedProducts.HeadLinear,
        ["stored-linear"] = FuzzedStored.Linear,
        ["stored-embedding"] = FuzzedStored.Embedding,
        ["stored-head-linear"] = FuzzedStored.HeadLinear,
        ["convert"] = FuzzedStored.Convert,
        ["columns"] = FuzzedRows.Columns,
        ["join"] = FuzzedRows.Join,
        ["attention"] = FuzzedAttention.Attention,
        ["block-attention"] = FuzzedBlocks.Attention,
        ["block-attention-bf16"] = draw => FuzzedBlocks.Attention(draw).In(Precision.BF16, 0),
        ["lstm"] = FuzzedRecurrence.Lstm,
        ["gru"] = FuzzedRecurrence.Gru,
        ["rms-norm"] = FuzzedRows.RmsNorm,
        ["layer-norm"] = FuzzedRows.LayerNorm,
        ["activate"] = FuzzedRows.Activate,
        ["gate"] = FuzzedRows.Gate,
        ["feed-forward"] = FuzzedRows.FeedForward,
        ["add-scale"] = FuzzedRows.AddAndScale,
        ["add-row"] = FuzzedRows.AddRow,
        ["multiply-row"] = FuzzedRows.MultiplyRow,
        ["normalize-rows"] = FuzzedRows.NormalizeRows,
        ["segments"] = FuzzedRows.Segments,
        ["softmax"] = FuzzedRows.Softmax,
        ["cross-entropy"] = FuzzedRows.CrossEntropy,
        ["linear-cross-entropy"] = FuzzedRows.LinearCrossEntropy,
        ["rotate"] = FuzzedRows.Rotate,
        ["dropout"] = FuzzedRows.Dropout,
        ["embedding"] = FuzzedRows.Embedding,
        ["dispatch"] = FuzzedRouting.Dispatch,
        ["combine"] = FuzzedRouting.Combine,
        ["balance-loss"] = FuzzedRouting.BalanceLoss,
        ["select"] = FuzzedRouting.Select,
        ["limit-groups"] = FuzzedRouting.LimitGroups,
        ["scale-groups"] = FuzzedRouting.ScaleGroups,
        ["adamw"] = FuzzedUpdates.AdamW,
        ["nesterov"] = FuzzedUpdates.Nesterov,
        ["gradient-norm"] = FuzzedUpdates.GradientNorm,
        ["spoilt-row"] = FuzzedPoison.Rows,
        ["spoilt-attention"] = FuzzedPoison.Attention,
        ["spoilt-sequence"] = FuzzedPoison.Recurrence,
        ["special-value"] = FuzzedSpecials.Operation,
        ["special-stored"] = FuzzedSpecials.Stored,
        ["special-convert"] = FuzzedSpecials.Convert,
        ["wrong-shapes"] = FuzzedMistakes.Call,
    };

    /// <summary>The case of one operation that follows from a number.</summary>
    public static FuzzCase Case(string operation, ulong number) =>
        Operations[operation](new Draw(new CounterRandom(number).Derive(operation)));
}

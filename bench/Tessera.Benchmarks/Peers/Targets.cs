namespace Tessera.Benchmarks.Peers;

/// <summary>What a ratio must reach, and what it should.</summary>
internal sealed record Target(double Bar, double Goal);

/// <summary>The targets of one piece of work, by what the processor has (<see cref="MachineKind"/>); none where null.</summary>
/// <param name="Amx">With tiles.</param>
/// <param name="FastDots">With fast BF16 dot products.</param>
/// <param name="Other">With neither: BF16 numbers are multiplied as F32, which a peer that uses slow dot products does not reach.</param>
internal sealed record Targets(Target? Amx, Target? FastDots, Target? Other)
{
    public static readonly Targets ProductF32 = Everywhere(1.1, 1.3);
    public static readonly Targets ProductBf16 = new(new(1.8, 2.5), new(0.9, 1.05), new(1.6, 1.9));
    public static readonly Targets WorstProductBf16 = new(new(1.5, 2), new(0.9, 1.05), new(1.4, 1.7));
    public static readonly Targets VectorProductBf16 = new(new(2, 3), new(1.0, 1.3), new(2, 3));
    public static readonly Targets ThinProductBf16 = new(new(1.3, 2.5), new(1.0, 1.3), new(1.1, 1.3));
    public static readonly Targets DecoderF32 = Everywhere(1.6, 2);
    public static readonly Targets DecoderBf16 = new(new(3, 5), new(1.5, 2.5), new(2, 3));
    public static readonly Targets HybridF32 = Everywhere(2, 3);
    public static readonly Targets HybridBf16 = new(new(3, 5), new(1.5, 2.5), new(2, 3));
    public static readonly Targets Lstm = Everywhere(1.5, 3);
    public static readonly Targets AttentionForwardF32 = Everywhere(1.3, 2);
    public static readonly Targets AttentionBackwardF32 = Everywhere(1.4, 2);
    public static readonly Targets AttentionForwardBf16 = new(new(1.5, 3), new(1.3, 2), new(1.8, 2.5));
    public static readonly Targets AttentionBackwardBf16 = new(new(3, 5), new(1.4, 2), new(2.5, 3.5));
    public static readonly Targets Window = Everywhere(12, 30);
    public static readonly Targets ChosenBlocks = Everywhere(6.5, 10);
    public static readonly Targets SparseBf16 = new(new(1.5, 3), new(1.3, 1.8), new(1.0, 1.1));
    public static readonly Targets MatrixVector = Everywhere(0.85, 0.95);
    public static readonly Targets LlamaCpp = Everywhere(1, 1.3);

    /// <summary>The target on this machine.</summary>
    public Target? Here => Machine.Kind switch
    {
        MachineKind.Amx => Amx,
        MachineKind.Avx512Bf16 => FastDots,
        _ => Other,
    };

    private static Targets Everywhere(double bar, double goal) => new(new(bar, goal), new(bar, goal), new(bar, goal));
}

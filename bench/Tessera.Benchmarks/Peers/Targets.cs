namespace Tessera.Benchmarks.Peers;

/// <summary>What a ratio must reach, and what it should.</summary>
internal sealed record Target(double Bar, double Goal);

/// <summary>The targets of one piece of work, by what the processor has; none where null.</summary>
internal sealed record Targets(Target? Amx, Target? Avx512Bf16, Target? Plain = null)
{
    public static readonly Targets ProductF32 = Everywhere(0.8, 0.95);
    public static readonly Targets ProductBf16 = new(new(1.1, 1.6), new(0.9, 1.05));
    public static readonly Targets ThinProductBf16 = new(new(1.5, 2), new(1.0, 1.3));
    public static readonly Targets DecoderF32 = Everywhere(1.8, 2.5);
    public static readonly Targets HybridF32 = Everywhere(2.2, 3);
    public static readonly Targets TrainingBf16 = new(new(2.5, 6), new(1.5, 2.5));
    public static readonly Targets Lstm = Everywhere(1.5, 3);
    public static readonly Targets AttentionForwardF32 = new(new(10, 13), new(12.5, 14), new(10, 13));
    public static readonly Targets AttentionBackwardF32 = new(new(6, 8), new(5.2, 6.5), new(5.2, 6.5));
    public static readonly Targets AttentionForwardBf16 = new(new(25, 50), new(15, 25));
    public static readonly Targets AttentionBackwardBf16 = new(new(15, 30), new(8, 12));
    public static readonly Targets Window = Everywhere(12, 30);
    public static readonly Targets ChosenBlocks = Everywhere(6.5, 10);
    public static readonly Targets MatrixVector = Everywhere(0.7, 0.9);

    /// <summary>The target on this machine.</summary>
    public Target? Here => Machine.Kind switch
    {
        MachineKind.Amx => Amx,
        MachineKind.Avx512Bf16 => Avx512Bf16,
        _ => Plain,
    };

    private static Targets Everywhere(double bar, double goal) => new(new(bar, goal), new(bar, goal), new(bar, goal));
}

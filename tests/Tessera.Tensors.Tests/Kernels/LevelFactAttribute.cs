using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>A test of a level's own routines, skipped (and saying so) where the machine lacks the level or another is forced.</summary>
internal sealed class LevelFactAttribute : FactAttribute
{
    /// <param name="needs">The lowest level that has the routines.</param>
    /// <param name="atAnyLevel">Whether the test calls the routines itself, whatever level is forced: the processor alone must have
    /// them.</param>
    public LevelFactAttribute(KernelLevel needs, bool atAnyLevel = false)
    {
        if (Simd.Highest < needs) Skip = $"needs level {needs.Name()}: {Simd.WhyNotHigher}";
        else if (!atAnyLevel && Simd.Level < needs) Skip = $"needs level {needs.Name()}, but TESSERA_KERNELS asks for {Simd.Level.Name()}";
    }
}

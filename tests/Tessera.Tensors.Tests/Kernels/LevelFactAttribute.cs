using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>A test of a level's own routines, skipped (and saying so) where the machine lacks the level or another is forced.</summary>
internal sealed class LevelFactAttribute : FactAttribute
{
    public LevelFactAttribute(KernelLevel needs)
    {
        if (Simd.Highest < needs) Skip = $"needs level {needs.Name()}: {Simd.WhyNotHigher}";
        else if (Simd.Level < needs) Skip = $"needs level {needs.Name()}, but TESSERA_KERNELS asks for {Simd.Level.Name()}";
    }
}

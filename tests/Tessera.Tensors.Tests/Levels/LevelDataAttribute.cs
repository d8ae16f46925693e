using System.Reflection;
using Tessera.Tensors.Kernels;
using Xunit.Sdk;

namespace Tessera.Tensors.Tests.Levels;

/// <summary>A level with one, two and three threads; skipped, and why is said, where this machine lacks the level.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class LevelDataAttribute : DataAttribute
{
    public LevelDataAttribute(KernelLevel level)
    {
        Level = level.Name();
        if (level > Simd.Highest) Skip = $"{level.Name()} cannot be used here: {Simd.Highest.Name()} is the highest, {Simd.WhyNotHigher}";
    }

    public string Level { get; }

    public override IEnumerable<object[]> GetData(MethodInfo testMethod) =>
        Enumerable.Range(1, 3).Select(threads => new object[] { Level, threads });
}

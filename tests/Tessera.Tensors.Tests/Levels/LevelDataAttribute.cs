using System.Reflection;
using Tessera.Tensors.Kernels;
using Xunit.Sdk;

namespace Tessera.Tensors.Tests.Levels;

/// <summary>
/// Each level that this machine has, with one, two and three threads. <c>LevelFactTests</c> says which levels it lacks.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LevelDataAttribute : DataAttribute
{
    public override IEnumerable<object[]> GetData(MethodInfo testMethod) =>
        from level in Enum.GetValues<KernelLevel>()
        where level <= Simd.Highest
        from threads in Enumerable.Range(1, 3)
        select new object[] { level.Name(), threads };
}

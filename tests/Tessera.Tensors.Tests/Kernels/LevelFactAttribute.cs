using System.Reflection;
using Tessera.Tensors.Kernels;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>
/// A test of a level's own routines. Where the machine lacks the level, or another is forced, it is no test of this run:
/// <see cref="LevelFactTests"/> names all such in one skipped test.
/// </summary>
/// <param name="needs">The lowest level that has the routines.</param>
/// <param name="atAnyLevel">Whether the test calls the routines itself, whatever level is forced: the processor alone must have
/// them.</param>
[XunitTestCaseDiscoverer("Tessera.Tensors.Tests.Kernels.LevelFactDiscoverer", "Tessera.Tensors.Tests")]
internal sealed class LevelFactAttribute(KernelLevel needs, bool atAnyLevel = false) : FactAttribute
{
    /// <summary>Whether this run has the level.</summary>
    public bool IsHere => (atAnyLevel ? Simd.Highest : Simd.Level) >= needs;

    /// <summary>The level's name.</summary>
    public string Needs => needs.Name();
}

/// <summary>Finds the tests whose level this run has.</summary>
public sealed class LevelFactDiscoverer(IMessageSink messages) : IXunitTestCaseDiscoverer
{
    private readonly FactDiscoverer _facts = new(messages);

    /// <inheritdoc/>
    public IEnumerable<IXunitTestCase> Discover(
        ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo factAttribute)
    {
        var level = (LevelFactAttribute)((ReflectionAttributeInfo)factAttribute).Attribute;
        return level.IsHere ? _facts.Discover(discoveryOptions, testMethod, factAttribute) : [];
    }
}

/// <summary>What cannot be tested on this machine, in one skipped test.</summary>
public class LevelFactTests
{
    internal static string[] Missing { get; } =
    [
        .. typeof(LevelFactTests).Assembly.GetTypes()
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance))
            .Select(method => (method.Name, Level: method.GetCustomAttribute<LevelFactAttribute>()))
            .Where(test => test.Level is { IsHere: false })
            .Select(test => $"{test.Name} ({test.Level!.Needs})"),
    ];

    [EveryLevelFact]
    public void Every_level_is_tested_on_this_machine()
    {
        Assert.Empty(Missing);
        Assert.Equal(KernelLevel.Amx, Simd.Highest);
    }

    private sealed class EveryLevelFactAttribute : FactAttribute
    {
        public EveryLevelFactAttribute()
        {
            if (Simd.Highest < KernelLevel.Amx || Missing.Length > 0)
            {
                Skip = $"{Simd.Level.Name()} is in use and {Simd.Highest.Name()} the highest here, {Simd.WhyNotHigher}; "
                    + $"operations at higher levels are not tested, nor {Missing.Length} tests of their routines: {string.Join(", ", Missing)}";
            }
        }
    }
}

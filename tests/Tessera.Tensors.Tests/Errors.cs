using Xunit.Abstractions;

namespace Tessera.Tensors.Tests;

/// <summary>The largest errors of one operation over many checks, written to the test's output.</summary>
internal sealed class Errors(ITestOutputHelper output, string operation) : IDisposable
{
    private double _value, _gradient;

    public void Add((double Value, double Gradient) found) =>
        (_value, _gradient) = (Math.Max(_value, found.Value), Math.Max(_gradient, found.Gradient));

    public void Dispose() => output.WriteLine($"{operation}: value {_value:E1}, gradient {_gradient:E1}");
}

using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Tensors;

namespace Tessera.Models.Verification;

/// <summary>Compares a model's gradients with recorded ones, tensor by tensor as the checkpoint names and lays them out.</summary>
internal static class GradientComparison
{
    /// <summary>What the names of recorded gradients begin with.</summary>
    public const string Prefix = "grad.";

    /// <summary>The tensor whose gradient differs most, relative to its largest number.</summary>
    /// <exception cref="InvalidDataException">A gradient was recorded of a tensor that the model does not have.</exception>
    public static (string Tensor, double Difference) Worst(ModelFolder folder, RecordedOutputs recorded)
    {
        var found = Gradients(folder, recorded);
        var worst = ("", 0.0);
        foreach (var name in recorded.Names.Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)))
        {
            if (!found.TryGetValue(name[Prefix.Length..], out var gradient))
                throw new InvalidDataException($"'{name}' was recorded, but the model has no such tensor");
            var difference = Difference(recorded.Floats(name, gradient.Shape.Count), gradient.Floats);
            if (difference >= worst.Item2) worst = (name[Prefix.Length..], difference);
        }

        return worst;
    }

    private static Dictionary<string, Tensor> Gradients(ModelFolder folder, RecordedOutputs recorded)
    {
        var parameters = folder.Model.Parameters().ToDictionary(own => own.Name, own => own.Parameter, StringComparer.Ordinal);
        var theirs = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        var names = folder.Names;
        foreach (var layout in names.Layouts.Values)
        {
            var parameter = parameters[layout.Ours];
            if (!parameter.IsTrained) continue;
            for (var index = 0; index < layout.Theirs.Count; index++)
            {
                if (names.Called(layout.Theirs[index]).FirstOrDefault(called => recorded.Has(Prefix + called)) is not { } name) continue;
                if (!theirs.TryGetValue(name, out var whole))
                    theirs[name] = whole = Tensor.Allocate(
                        new Shape([.. layout.ShapeOf(index, parameter.Shape).Select(size => checked((int)size))]));
                // What took no part in the loss has no gradient: zero.
                if (parameter.Value.Gradient is { IsEmpty: false } gradient)
                    layout.Write(Tensor.From(gradient, parameter.Shape), index, whole);
            }
        }

        foreach (var tensor in folder.Adapters is { } adapters ? PeftAdapter.Tensors(adapters, names) : [])
            if (tensor.Parameter.Value.Gradient is { IsEmpty: false } gradient) theirs[tensor.Name] = tensor.Of(gradient);
        return theirs;
    }

    private static double Difference(ReadOnlySpan<float> expected, ReadOnlySpan<float> found)
    {
        var (largest, difference) = (1e-12, 0.0);
        for (var i = 0; i < expected.Length; i++)
        {
            largest = Math.Max(largest, Math.Abs(expected[i]));
            var distance = Math.Abs((double)expected[i] - found[i]);
            difference = Math.Max(difference, double.IsNaN(distance) ? double.PositiveInfinity : distance);
        }

        // Where infinities were recorded there is nothing to compare with.
        return double.IsFinite(largest) ? difference / largest : double.PositiveInfinity;
    }
}

using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>A tensor of an adapter as PEFT names and lays it out: a parameter of ours, one of its groups, or its transpose, which PEFT
/// keeps of the adapters of embeddings.</summary>
/// <param name="Name">PEFT's name.</param>
/// <param name="Parameter">Ours.</param>
/// <param name="Group">Which of the groups of ours; null for all of it.</param>
/// <param name="IsTurned">Whether PEFT has the transpose.</param>
internal sealed record PeftTensor(string Name, Parameter Parameter, int? Group = null, bool IsTurned = false)
{
    /// <summary>PEFT's shape.</summary>
    public Shape Shape => IsTurned ? new Shape(Ours[1], Ours[0]) : Ours;

    private Shape Ours => Group is null ? Parameter.Shape : new Shape(Parameter.Shape[1], Parameter.Shape[2]);

    private Range Place => (Group ?? 0) * (int)Ours.Count is var start ? start..(start + (int)Ours.Count) : default;

    /// <summary>PEFT's tensor of numbers of ours: its values, or its gradient.</summary>
    /// <param name="ours">As many as the parameter has.</param>
    /// <returns>An owned tensor.</returns>
    public Tensor Of(ReadOnlySpan<float> ours)
    {
        var theirs = Tensor.Allocate(Shape);
        Copy(ours[Place], theirs.Floats, Ours);
        return theirs;
    }

    /// <summary>Sets what belongs to PEFT's tensor among the numbers of ours.</summary>
    /// <param name="theirs">As many as <see cref="Shape"/> has.</param>
    /// <param name="ours">As many as the parameter has.</param>
    public void Set(ReadOnlySpan<float> theirs, Span<float> ours) => Copy(theirs, ours[Place], Shape);

    /// <summary>Copies a matrix of a shape, or its transpose where theirs is that of ours.</summary>
    private void Copy(ReadOnlySpan<float> from, Span<float> to, Shape shape)
    {
        if (!IsTurned)
        {
            from.CopyTo(to);
            return;
        }

        for (var row = 0; row < shape[0]; row++)
            for (var column = 0; column < shape[1]; column++) to[(column * shape[0]) + row] = from[(row * shape[1]) + column];
    }
}

using Tessera.Tensors;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Tessera.Models.Formats;

/// <summary>Ours is theirs but for a factor, which another program does not know: theirs are multiplied by it.</summary>
/// <param name="ours">Our name.</param>
/// <param name="theirs">Their names: each is ours times its factor.</param>
internal sealed class ScaledLayout(string ours, params (string Name, float Factor)[] theirs)
    : TensorLayout(ours, [.. theirs.Select(each => each.Name)])
{
    public override IReadOnlyList<long> ShapeOf(int index, Shape ours) => Sizes(ours);

    public override bool Keeps(ElementType type) => type == ElementType.F32;

    public override void Read(TheirTensors file, Tensor ours)
    {
        file.Read(0, ours.Type, ours.Bytes);
        TensorPrimitives.Divide(ours.Floats, theirs[0].Factor, ours.Floats);
    }

    public override void Write(Tensor ours, int index, Tensor file) =>
        TensorPrimitives.Multiply(ours.Floats, theirs[index].Factor, file.Floats);
}

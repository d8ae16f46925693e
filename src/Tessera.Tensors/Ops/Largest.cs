using System.Numerics.Tensors;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>The largest of whole numbers, such as the last of some positions.</summary>
    /// <param name="numbers">I32, any shape, at least one.</param>
    /// <exception cref="ShapeException">They are not I32, or there is none.</exception>
    public static int Largest(Tensor numbers)
    {
        ShapeException.Require(
            numbers.Type == ElementType.I32 && numbers.Shape.Count > 0, "largest", "numbers", numbers, "I32, at least one");
        var largest = TensorPrimitives.Max<int>(numbers.Ints);
        GC.KeepAlive(numbers);
        return largest;
    }
}

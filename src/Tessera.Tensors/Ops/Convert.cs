using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>The same numbers stored as another type, with the rounding of llama.cpp's reference quantizers: F16 and BF16
    /// to nearest even (F16 overflows to infinity from 65520 on), Q8_0 and Q4_0 by the element of greatest magnitude of a
    /// block, Q4_K and Q6_K by a search for the scales of least error. No gradient passes.</summary>
    /// <param name="x">Any shape, any type but I32.</param>
    /// <param name="type">Any type but I32; the innermost axis is a multiple of its block.</param>
    /// <returns>A temporary of x's shape.</returns>
    /// <exception cref="ShapeException">A type is I32, or rows are not whole blocks.</exception>
    /// <exception cref="ArgumentException">A quantized type is to hold NaN, an infinity, or a number beyond its F16 scales.</exception>
    public static Tensor Convert(Tensor x, ElementType type)
    {
        RequireReal("x", x);
        if (!type.IsReal()) throw new ShapeException($"convert: {x.Type} {x.Shape} cannot become {type}");
        var y = Tensor.Temporary(x.Shape, type);
        Convert(x, y);
        return y;
    }

    /// <summary>As <see cref="Convert(Tensor, ElementType)"/>, into a tensor that is there, such as an owned one for a weight.</summary>
    /// <param name="x">Any shape, any type but I32.</param>
    /// <param name="y">Of x's shape, any type but I32.</param>
    /// <exception cref="ShapeException">Shapes differ, or a type is I32.</exception>
    /// <exception cref="ArgumentException">A quantized type is to hold NaN, an infinity, or a number beyond its F16 scales.</exception>
    public static void Convert(Tensor x, Tensor y)
    {
        RequireReal("x", x);
        RequireReal("y", y);
        ShapeException.Require(x.Shape == y.Shape, "convert", "y", y, "x", x);
        QuantizedConversion.Convert(x.Type, x.Bytes, y.Type, y.Bytes, x.Shape.Rows, x.Shape.Width);
        GC.KeepAlive(x);
        GC.KeepAlive(y);
    }

    private static void RequireReal(string argument, Tensor tensor) =>
        ShapeException.Require(tensor.Type.IsReal(), "convert", argument, tensor, "a type of real numbers");
}

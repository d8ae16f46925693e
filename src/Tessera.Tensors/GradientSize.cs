using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>The length of gradients: measured and changed.</summary>
public static class GradientSize
{
    /// <summary>The sum of squares of a tensor's gradient, added up in double precision: the same bits whatever the
    /// number of threads and the vector width. 0 where no gradient has arrived; not finite where an element is not.</summary>
    public static double Squares(Tensor tensor)
    {
        var squares = OptimizerKernels.Squares(tensor.Gradient);
        GC.KeepAlive(tensor);
        return squares;
    }

    /// <summary>Multiplies a tensor's gradient by a factor.</summary>
    public static void Scale(Tensor tensor, double factor)
    {
        SumKernel.Scale(tensor.Gradient, (float)factor, tensor.Gradient);
        GC.KeepAlive(tensor);
    }
}

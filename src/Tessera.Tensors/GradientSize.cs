using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>The length of gradients.</summary>
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
}

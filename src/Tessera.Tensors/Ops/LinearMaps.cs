using Tessera.Tensors.Threading;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Two maps of one x, each as <see cref="Linear(Activations, Tensor, Tensor?)"/> and with its bits: where there are few rows,
    /// as while decoding, in one pass over the threads.</summary>
    /// <param name="x">[…, inputs].</param>
    /// <param name="first">A map.</param>
    /// <param name="second">Another.</param>
    /// <returns>[…, outputs] of each.</returns>
    /// <exception cref="ShapeException">Shapes do not fit.</exception>
    public static (Tensor First, Tensor Second) Linear(Activations x, LinearMap first, LinearMap second)
    {
        var joint = default(JointWork);
        joint.Open();
        Tensor one, two;
        try
        {
            one = Linear(x, first.Weight, first.Bias);
            two = Linear(x, second.Weight, second.Bias);
        }
        finally
        {
            JointWork.Close();
        }

        joint.Run();
        KeepAlive(x, first, second);
        return (one, two);
    }

    /// <summary>Three maps of one x, as queries, keys and values; see <see cref="Linear(Activations, LinearMap, LinearMap)"/>.</summary>
    /// <param name="x">[…, inputs].</param>
    /// <param name="first">A map.</param>
    /// <param name="second">Another.</param>
    /// <param name="third">A third.</param>
    /// <returns>[…, outputs] of each.</returns>
    /// <exception cref="ShapeException">Shapes do not fit.</exception>
    public static (Tensor First, Tensor Second, Tensor Third) Linear(Activations x, LinearMap first, LinearMap second, LinearMap third)
    {
        var joint = default(JointWork);
        joint.Open();
        Tensor one, two, three;
        try
        {
            one = Linear(x, first.Weight, first.Bias);
            two = Linear(x, second.Weight, second.Bias);
            three = Linear(x, third.Weight, third.Bias);
        }
        finally
        {
            JointWork.Close();
        }

        joint.Run();
        KeepAlive(x, first, second);
        KeepAlive(x, third, third);
        return (one, two, three);
    }

    private static void KeepAlive(Activations x, LinearMap first, LinearMap second)
    {
        GC.KeepAlive(x);
        GC.KeepAlive(x.Tensor);
        GC.KeepAlive(first.Weight);
        GC.KeepAlive(first.Bias);
        GC.KeepAlive(second.Weight);
        GC.KeepAlive(second.Bias);
    }
}

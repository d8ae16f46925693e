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
        var (one, two, _) = Together(x, first, second, null);
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
        var (one, two, three) = Together(x, first, second, third);
        return (one, two, three!);
    }

    private static (Tensor First, Tensor Second, Tensor? Third) Together(
        Activations x, LinearMap first, LinearMap second, LinearMap? third)
    {
        var joint = default(JointWork);
        joint.Open();
        Tensor one, two;
        Tensor? three;
        try
        {
            one = Linear(x, first.Weight, first.Bias);
            two = Linear(x, second.Weight, second.Bias);
            three = third is { } last ? Linear(x, last.Weight, last.Bias) : null;
        }
        finally
        {
            JointWork.Close();
        }

        joint.Run();
        GC.KeepAlive(x);
        GC.KeepAlive(x.Tensor);
        KeepAlive(first);
        KeepAlive(second);
        if (third is { } kept) KeepAlive(kept);
        return (one, two, three);
    }

    private static void KeepAlive(LinearMap map)
    {
        GC.KeepAlive(map.Weight);
        GC.KeepAlive(map.Bias);
    }
}

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Sets all elements of a tensor that is there, such as a row of a cache, to one number. No gradient passes.</summary>
    /// <param name="x">F32, any shape.</param>
    /// <param name="value">The number.</param>
    public static void Fill(Tensor x, float value)
    {
        x.Floats.Fill(value);
        GC.KeepAlive(x);
    }
}

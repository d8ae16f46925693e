namespace Tessera.Tensors.Kernels;

/// <summary>Work on quantized weights that is written once for blocks of all types.</summary>
internal interface IStoredBlockWork
{
    /// <summary>Does one part.</summary>
    /// <typeparam name="B">The blocks of the weight.</typeparam>
    void Run<B>(int part) where B : struct, IStoredBlock<B>;
}

/// <summary>Which blocks a quantized type has.</summary>
internal static class StoredBlockTypes
{
    /// <summary>Does one part of the work with the type's blocks.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The type has no blocks.</exception>
    public static void Run<TWork>(this ElementType type, ref TWork work, int part) where TWork : struct, IStoredBlockWork
    {
        switch (type)
        {
            case ElementType.Q8_0: work.Run<Q8Block>(part); break;
            case ElementType.Q4_0: work.Run<Q4Block>(part); break;
            case ElementType.Q4_1: work.Run<Q41Block>(part); break;
            case ElementType.Q5_0: work.Run<Q50Block>(part); break;
            case ElementType.Q5_1: work.Run<Q51Block>(part); break;
            case ElementType.Q2_K: work.Run<Q2KBlock>(part); break;
            case ElementType.Q3_K: work.Run<Q3KBlock>(part); break;
            case ElementType.Q4_K: work.Run<Q4KBlock>(part); break;
            case ElementType.Q5_K: work.Run<Q5KBlock>(part); break;
            case ElementType.Q6_K: work.Run<Q6KBlock>(part); break;
            case ElementType.IQ4_NL: work.Run<Iq4Block>(part); break;
            case ElementType.IQ4_XS: work.Run<Iq4XsBlock>(part); break;
            case ElementType.MXFP4: work.Run<Mxfp4Block>(part); break;
            default: throw new ArgumentOutOfRangeException(nameof(type), type, "not a type of blocks");
        }
    }
}

namespace Tessera.Nn.Blocks;

/// <summary>Where a layer has its norms, and whether its parts follow one another.</summary>
public enum NormPlacement
{
    /// <summary><c>x ← x + part(norm(x))</c> for one part after the other, and a norm at the end of the stack
    /// (Xiong et al. 2020, arXiv 2002.04745).</summary>
    PreNorm,

    /// <summary><c>x ← norm(x + part(x))</c>, without a norm at the end of the stack (Vaswani et al. 2017, arXiv 1706.03762).</summary>
    PostNorm,

    /// <summary><c>x ← x + norm(part(x))</c>, and a norm at the end of the stack: "res-post-norm" (Liu et al. 2021, Swin V2, arXiv
    /// 2111.09883; OLMo 2, arXiv 2501.00656).</summary>
    ResidualPostNorm,

    /// <summary><c>x ← x + norm₂(part(norm₁(x)))</c>, and a norm at the end of the stack (Gemma 2, arXiv 2408.00118).</summary>
    Sandwich,

    /// <summary><c>x ← x + attention(norm₁(x)) + feedForward(norm₂(x))</c> (GPT-NeoX, arXiv 2204.06745).</summary>
    Parallel,

    /// <summary>As <see cref="Parallel"/> with one norm for both (Wang and Komatsuzaki 2021, GPT-J).</summary>
    ParallelOneNorm,
}

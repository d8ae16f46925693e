namespace Tessera.Nn.Lora;

/// <summary>Options of low-rank adapters; <c>"lora"</c> in a recipe. The model itself stays as it is, in the numbers it is stored
/// in, and only the adapters learn.</summary>
public sealed record LoraOptions
{
    /// <summary>The rank r of an adapter's map; 1 to 65,536.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>α: what an adapter computes is multiplied by α/r; finite.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>Which weights get an adapter, of linear maps, experts, embeddings or heads: full names in which <c>*</c> stands for any
    /// characters and <c>?</c> for one; a last part <c>weight</c> may be left out.</summary>
    public IReadOnlyList<string> Targets { get; init; } = ["*.q_proj", "*.v_proj"];

    /// <summary>The share of an adapter's inputs that is dropped while training; in [0, 1).</summary>
    public float Dropout { get; init; }

    /// <summary>Whether the factor is α/√r instead, so that adapters of high rank learn as fast (Kalajdzievski 2023, rsLoRA, arXiv
    /// 2312.03732).</summary>
    public bool RankStabilized { get; init; }

    /// <summary>What an adapter of a rank is multiplied by.</summary>
    public static double Scale(double alpha, int rank, bool rankStabilized) => alpha / (rankStabilized ? Math.Sqrt(rank) : rank);

    internal void Validate(string path)
    {
        Require(Rank is >= 1 and <= 65536, "rank", Rank, "1 to 65536");
        Require(double.IsFinite(Alpha), "alpha", Alpha, "a finite number");
        Require(Dropout is >= 0 and < 1, "dropout", Dropout, "at least 0, below 1");
        Require(Targets.Count > 0, "targets", "empty", "at least one pattern, such as *.q_proj");

        void Require(bool condition, string key, object found, string allowed)
        {
            if (!condition) throw new RecipeException($"{path}.{key}", $"is {found}; allowed: {allowed}");
        }
    }
}

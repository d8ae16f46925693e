using Tessera.Nn;
using Tessera.Nn.Lora;
using Tessera.Nn.Weights;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>A module of a Hugging Face model that PEFT adapts, and where it is found in a weight of ours: a linear map is a matrix of its
/// own there, as is each expert, and several of our maps may be rows of one.</summary>
/// <param name="Name">Its full name in the checkpoint, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Rows">Which of its rows, and of our groups.</param>
/// <param name="IsTable">Whether it is an embedding.</param>
internal sealed record PeftModule(string Name, MatrixRows Rows, bool IsTable)
{
    /// <summary>What all names of an adapter's file begin with.</summary>
    public const string Prefix = "base_model.model.";

    private const string Weight = ".weight";

    /// <summary>The ending of the name of A.</summary>
    public static string DownOf(bool isTable) => isTable ? ".lora_embedding_A" : ".lora_A.weight";

    /// <summary>The ending of the name of B.</summary>
    public static string UpOf(bool isTable) => isTable ? ".lora_embedding_B" : ".lora_B.weight";

    /// <summary>The modules of a weight of ours; none where PEFT could not adapt it.</summary>
    /// <param name="ours">The weight's full name; a last part <c>weight</c> may be left out.</param>
    /// <param name="weight">The weight.</param>
    /// <param name="names">The checkpoint's names.</param>
    public static IReadOnlyList<PeftModule> Of(string ours, Weight weight, TensorNames names)
    {
        var layout = LayoutOf(ours, names);
        var modules = new List<PeftModule>();
        for (var index = 0; index < layout.Theirs.Count; index++)
        {
            if (layout.RowsOf(index, weight.Shape) is not { } rows) return [];
            modules.Add(new PeftModule(Without(Weight, layout.Theirs[index]), rows, weight.IsTable));
        }

        return modules;
    }

    /// <summary>How a weight lies in the checkpoint; what has no place there, such as a tied head, is called as we call it.</summary>
    public static TensorLayout LayoutOf(string ours, TensorNames names) =>
        names.Layouts.TryGetValue(ours, out var layout) || names.Layouts.TryGetValue(ours + Weight, out layout)
            ? layout
            : new SameLayout(ours, ours);

    /// <summary>Whether its rows are all one weight's of ours, so that it can be adapted as that is.</summary>
    public bool IsWhole(Weight weight) => Rows.First == 0 && Rows.Of == weight.Outputs;

    /// <summary>A and B of an adapter of ours, or of the group of it that is this module's, as PEFT has them. Embeddings are adapted as
    /// maps of one-hot vectors: there A is [r, vocabulary] and B [width, r], and both the transposes of the other of ours.</summary>
    public (PeftTensor Down, PeftTensor Up) TensorsOf(LoraAdapter adapter)
    {
        var (down, up) = IsTable ? (adapter.Up, adapter.Down) : (adapter.Down, adapter.Up);
        return (Tensor(DownOf(IsTable), down), Tensor(UpOf(IsTable), up));

        PeftTensor Tensor(string ending, Parameter parameter) => new(Prefix + Name + ending, parameter, Rows.Group, IsTable);
    }

    private static string Without(string ending, string name) =>
        name.EndsWith(ending, StringComparison.Ordinal) ? name[..^ending.Length] : name;
}

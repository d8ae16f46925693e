using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;

namespace Tessera.Models;

/// <summary>A folder of the Hugging Face hub: <c>config.json</c> of a family that is known, safetensors in one file or several, and the
/// files of its tokenizer where it has one.</summary>
internal sealed class HuggingFaceFormat : ModelFormat
{
    /// <inheritdoc/>
    /// <remarks>Any configuration will do: what is wrong with it is said when it is loaded.</remarks>
    public override bool IsAt(string path) => File.Exists(Path.Combine(path, HuggingFaceConfig.File));

    /// <inheritdoc/>
    public override ModelFolder Load(string path, bool asStored, bool check)
    {
        var config = HuggingFaceConfig.Load(Path.Combine(path, HuggingFaceConfig.File));
        var family = Family.Of(config);
        TensorSource weights = SafetensorsFolder.Open(path);
        try
        {
            weights = Quantization.Read(config)?.Over(weights) ?? weights;
            return Load(path, config, family, weights, asStored);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private static ModelFolder Load(string folder, HuggingFaceConfig config, Family family, TensorSource weights, bool asStored)
    {
        var options = family.Present(family.ReadConfig(config), weights);
        var vocabulary = family.Vocabulary(config);
        var model = options.Build(vocabulary, seed: 0);
        Weights.Load(model, weights, family.Names(options, weights), asStored);
        var tokenizer = HuggingFaceText.Tokenizer(folder);
        var said = new ModelConfig
        {
            Model = options, Vocabulary = vocabulary, Length = model.LongestSequence,
            SourceLength = model.ReadsSource ? model.LongestSource : 0,
        };
        return new ModelFolder(said, tokenizer, model)
        {
            Path = folder, Family = family, Source = weights, PromptFormat = HuggingFaceText.PromptFormat(folder, config, tokenizer),
        };
    }
}

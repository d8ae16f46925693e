using Tessera.Models.Formats.Gguf;
using Tessera.Text.Files;

namespace Tessera.Models;

/// <summary>A GGUF file: weights, configuration and tokenizer in one.</summary>
internal sealed class GgufFormat : ModelFormat
{
    /// <inheritdoc/>
    public override bool IsAt(string path) => File.Exists(path) && FileKinds.Of(path) == FileKind.Gguf;

    /// <inheritdoc/>
    public override ModelFolder Load(string path, bool asStored, bool check)
    {
        var file = GgufFile.Open(path); // stays in use until the weights are read
        try
        {
            var (options, model) = GgufModel.Open(file, asStored);
            var tokenizer = GgufText.Tokenizer(file);
            var config = new ModelConfig
            {
                Model = options, Vocabulary = model.Vocabulary, Length = model.LongestSequence, SourceLength = 0,
            };
            return new ModelFolder(config, tokenizer, model) { PromptFormat = GgufText.PromptFormat(file, tokenizer), Source = file };
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }
}

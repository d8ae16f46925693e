using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Text.Files;

namespace Tessera.Models;

/// <summary>Opening of a <see cref="TensorSource"/> of any format: <c>TensorSource.Open("model.gguf")</c>.</summary>
public static class TensorSources
{
    extension(TensorSource)
    {
        /// <summary>Opens a checkpoint: a safetensors file, an index of several (<c>model.safetensors.index.json</c>), a folder with
        /// either, or a GGUF file, which is known by its first bytes.</summary>
        /// <param name="path">The file or folder.</param>
        /// <exception cref="FileNotFoundException">There is no such file, or the folder holds none of these.</exception>
        /// <exception cref="InvalidDataException">The file is damaged; the message names what was found and what is allowed.</exception>
        public static TensorSource Open(string path)
        {
            if (Directory.Exists(path)) return SafetensorsFolder.Open(path);
            if (path.EndsWith(SafetensorsShards.IndexEnding, StringComparison.Ordinal)) return SafetensorsShards.Open(path);
            return FileKinds.Of(path) == FileKind.Gguf || path.EndsWith(GgufFile.Ending, StringComparison.OrdinalIgnoreCase)
                ? GgufFile.Open(path)
                : SafetensorsFile.Open(path);
        }
    }
}

namespace Tessera.Text.Files;

/// <summary>What a file is by its first bytes, of the kinds that are found under the names of models and tokenizers.</summary>
public enum FileKind
{
    /// <summary>None of these: whoever reads it finds out.</summary>
    Unknown,

    /// <summary>No byte at all.</summary>
    Empty,

    /// <summary>What Git LFS leaves in the place of a file that was not downloaded.</summary>
    LfsPointer,

    /// <summary>A page of a web site.</summary>
    Html,

    /// <summary>Plain text that is none of the others, such as the message of a server.</summary>
    Text,

    /// <summary>A ZIP archive, which PyTorch's <c>.bin</c> and <c>.pt</c> are, and NumPy's <c>.npz</c>.</summary>
    Zip,

    /// <summary>A Python pickle, as older PyTorch wrote weights.</summary>
    Pickle,

    /// <summary>Compressed by gzip, Zstandard, xz or bzip2.</summary>
    Compressed,

    /// <summary>HDF5, as Keras and TensorFlow save weights.</summary>
    Hdf5,

    /// <summary>What llama.cpp read before there was GGUF.</summary>
    OlderGgml,

    /// <summary>A GGUF file.</summary>
    Gguf,

    /// <summary>A safetensors file.</summary>
    Safetensors,

    /// <summary>Ranks of tokens as tiktoken keeps them: base 64, a blank, a number.</summary>
    TiktokenRanks,

    /// <summary>A sentencepiece model: a message of protocol buffers that begins with a piece.</summary>
    SentencePiece,

    /// <summary>JSON: an object or a list, with or without a byte order mark.</summary>
    Json,

    /// <summary>Text in UTF-16 or UTF-32, by its byte order mark.</summary>
    WideText,

    /// <summary>A piece of a file that was cut in several, by its name.</summary>
    Piece,
}

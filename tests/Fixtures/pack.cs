// Packs reference outputs into the archives beside this file: dotnet run tests/Fixtures/pack.cs -- FOLDER
// FOLDER holds what the scripts here wrote (fixtures/) and llama.cpp's vocabularies (data/vocab). An archive is a tar file under
// Brotli, whose window of 16 MB finds the tensors that two formats of one model share. The same files give the same bytes.
using System.Buffers;
using System.Formats.Tar;
using System.IO.Compression;

(string Archive, string[] Parts)[] archives =
[
    ("hf", ["fixtures/hf"]),
    ("gguf", ["llama", "gpt2", "qwen2", "qwen3", "mixtral", "qwen3moe", "deepseek2-lite", "llama-256"]),
    ("tokenizers", ["fixtures/tokenizers"]),
    ("generation", ["fixtures/generation"]),
    ("parts", ["alibi", "sinusoidal", "routing_deepseek_v3", "moh", "rope", "t5_buckets", "dilated_window", "moba_16_3"]),
    ("torch", ["attention-*"]),
    ("families", ["transfo_xl"]),
    ("vocab", ["data/vocab"]),
];

// Larger than what they prove: another test of the same kind is in the archive.
string[] leftOut =
[
    "fixtures/hf/deepseek-v3-yarn-legacy/", "fixtures/gguf/models/llama-256/hf/", "fixtures/gguf/models/llama-256/q5_k_m.gguf",
    "fixtures/gguf/models/llama-256/q6_k.gguf", "fixtures/gguf/models/qwen3moe/q",
    "fixtures/gguf/models/mixtral/q4_0.gguf",
];

var from = args is [var folder] ? folder : throw new ArgumentException("usage: dotnet run tests/Fixtures/pack.cs -- FOLDER");
var to = (string)AppContext.GetData("EntryPointFileDirectoryPath")!;
foreach (var (archive, parts) in archives)
{
    var under = archive == "gguf" ? "fixtures/gguf/models" : $"fixtures/{archive}";
    var files = parts
        .SelectMany(part => part.Contains('/') ? [Path.Combine(from, part)] : Directory.GetDirectories(Path.Combine(from, under), part))
        .SelectMany(root => Directory.GetFiles(root, "*", SearchOption.AllDirectories))
        .Select(path => Path.GetRelativePath(from, path).Replace('\\', '/'))
        .Where(path => !leftOut.Any(start => path.StartsWith(start, StringComparison.Ordinal)))
        .Order(StringComparer.Ordinal);
    var tar = new MemoryStream();
    using (var writer = new TarWriter(tar, TarEntryFormat.Ustar, leaveOpen: true))
    {
        foreach (var file in files)
        {
            writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, file)
            {
                ModificationTime = DateTimeOffset.UnixEpoch,
                DataStream = new MemoryStream(File.ReadAllBytes(Path.Combine(from, file))),
            });
        }
    }

    var packed = Compress(tar.ToArray());
    File.WriteAllBytes(Path.Combine(to, $"{archive}.tar.br"), packed);
    Console.WriteLine($"{archive}: {tar.Length:N0} bytes, {packed.Length:N0} packed");
}

static byte[] Compress(byte[] bytes)
{
    using var encoder = new BrotliEncoder(quality: 11, window: 24);
    var packed = new byte[BrotliEncoder.GetMaxCompressedLength(bytes.Length)];
    return encoder.Compress(bytes, packed, out _, out var written, isFinalBlock: true) == OperationStatus.Done
        ? packed[..written]
        : throw new InvalidOperationException("the compressor did not finish");
}

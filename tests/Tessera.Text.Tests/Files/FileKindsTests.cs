using System.IO.Compression;
using System.Text;
using Tessera.Text.Files;

namespace Tessera.Text.Tests.Files;

public sealed class FileKindsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tessera-kinds").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", FileKind.LfsPointer)]
    [InlineData("<!DOCTYPE html><html><body>404</body></html>", FileKind.Html)]
    [InlineData("\uFEFF \n<html lang=\"en\">", FileKind.Html)]
    [InlineData("<?xml version=\"1.0\"?><Error/>", FileKind.Html)]
    [InlineData("GGUF\u0003\0\0\0", FileKind.Gguf)]
    [InlineData("tjgg\u0001\0\0\0", FileKind.OlderGgml)]
    [InlineData("{\"a\": 1}", FileKind.Json)]
    [InlineData("\uFEFF\r\n[1]", FileKind.Json)]
    [InlineData("IQ== 0\nIg== 1\n", FileKind.TiktokenRanks)]
    [InlineData("\n\u000e\n\u0005<unk>\u0015\0\0\0\0\u0018\u0002", FileKind.SentencePiece)]
    [InlineData("", FileKind.Empty)]
    [InlineData("Entry not found", FileKind.Text)]
    [InlineData("nothing\u0001in particular", FileKind.Unknown)]
    public void Texts_and_marks_at_the_beginning_tell_the_kind(string beginning, FileKind kind) =>
        Assert.Equal(kind, FileKinds.Of(Encoding.UTF8.GetBytes(beginning)));

    [Theory]
    [InlineData("80027D7100", FileKind.Pickle)]
    [InlineData("80049514000000", FileKind.Pickle)]
    [InlineData("894844460D0A1A0A", FileKind.Hdf5)]
    [InlineData("28B52FFD00", FileKind.Compressed)]
    [InlineData("FFFE7B00", FileKind.WideText)]
    [InlineData("FEFF007B", FileKind.WideText)]
    [InlineData("0200000000000000" + "7B7D", FileKind.Safetensors)]
    [InlineData("8002000000000000" + "7B7D", FileKind.Safetensors)] // a header as long as a pickle's mark
    [InlineData("1F8B000000000000" + "7B7D", FileKind.Safetensors)]
    public void Bytes_at_the_beginning_tell_the_kind(string hexadecimal, FileKind kind) =>
        Assert.Equal(kind, FileKinds.Of(Convert.FromHexString(hexadecimal)));

    [Fact]
    public void What_DotNet_packs_is_known_as_packed()
    {
        var path = Path.Combine(_folder, "a");
        using (var archive = ZipFile.Open(path, ZipArchiveMode.Create)) archive.CreateEntry("data.pkl").Open().Close();
        Assert.Equal(FileKind.Zip, FileKinds.Of(path));
        using (var stream = new GZipStream(File.Create(path), CompressionLevel.Fastest)) stream.Write("text"u8);
        Assert.Equal(FileKind.Compressed, FileKinds.Of(path));
    }

    [Theory]
    [InlineData("m.gguf.part1of2", FileKind.Piece)]
    [InlineData("m.gguf-split-a", FileKind.Piece)]
    [InlineData("m.gguf.002", FileKind.Piece)]
    [InlineData("m-00001-of-00002.gguf", FileKind.Gguf)]
    public void Pieces_of_a_cut_file_are_known_by_their_names(string name, FileKind kind)
    {
        File.WriteAllText(Path.Combine(_folder, name), "GGUF\u0003\0\0\0");
        Assert.Equal(kind, FileKinds.Of(Path.Combine(_folder, name)));
    }

    [Fact]
    public void A_file_of_another_kind_is_said_to_be_that_with_the_way_to_the_right_one()
    {
        var path = Path.Combine(_folder, "model.safetensors");
        File.WriteAllText(path, "version https://git-lfs.github.com/spec/v1\noid sha256:abab\nsize 565832\n");
        var error = Assert.Throws<InvalidDataException>(() => FileKinds.Require(path, FileKind.Safetensors, "a safetensors file"));
        Assert.Equal(
            $"{path}: is a pointer of Git LFS to a file of 565832 bytes, not a safetensors file; "
            + "get the file itself with 'git lfs pull' in its folder, or download it again", error.Message);
    }

    [Theory]
    [InlineData("{}", FileKind.Json)]
    [InlineData("neither", FileKind.Json)]
    public void What_is_of_the_kind_or_of_none_that_is_known_is_left_to_its_reader(string text, FileKind expected)
    {
        var path = Path.Combine(_folder, "file");
        File.WriteAllText(path, text);
        FileKinds.Require(path, expected, "JSON");
    }

    [Fact]
    public void A_tokenizer_that_is_something_else_is_said_to_be_that()
    {
        string Message(string name, string text)
        {
            File.WriteAllText(Path.Combine(_folder, name), text);
            return Assert.Throws<InvalidDataException>(() => Tokenizers.Tokenizer.Load(Path.Combine(_folder, name))).Message;
        }

        Assert.Contains("tokenizer.model: is a list of tiktoken's ranks", Message("tokenizer.model", "IQ== 0\nIg== 1\n"), StringComparison.Ordinal);
        Assert.Contains(
            "tokenizer.model: is plain text, 'Entry not found', not a sentencepiece model; download it again",
            Message("tokenizer.model", "Entry not found"), StringComparison.Ordinal);
        Assert.Contains("tokenizer.model: is a pointer of Git LFS", Message("tokenizer.model", "version https://git-lfs.github.com/spec/v1\n"), StringComparison.Ordinal);
        Assert.Contains("tokenizer.json: is an HTML page, not JSON", Message("tokenizer.json", "<html>"), StringComparison.Ordinal);
        Assert.Contains("tokenizer.json: 'model' is missing", Message("tokenizer.json", "\uFEFF{}"), StringComparison.Ordinal);
    }
}

using Tessera.Text.Corpora;

namespace Tessera.Text.Tests.Corpora;

public sealed class TextFolderOptionsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Corpus Load(TextFolderOptions? options = null) =>
        ((options ?? new TextFolderOptions(".")) with { ValidationFraction = 0, TestFraction = 0 }).Load(_folder.Path);

    [Fact]
    public void A_file_is_a_document_named_by_its_path()
    {
        _folder.Write("b/deep/two.cs", "class Two;");
        _folder.Write("a.md", "\uFEFF# One\r\n\r\ntext\r\n");
        _folder.Write("a.json", "{}");
        Assert.Equal(
            [new Example(null, "# One\n\ntext\n", "a.md"), new Example(null, "class Two;", "b/deep/two.cs")],
            Load().Train);
    }

    [Fact]
    public void Build_outputs_and_hidden_folders_are_not_read_unless_asked_for()
    {
        foreach (var name in new[] { "a.cs", "b.cs", "bin/c.cs", "src/obj/d.cs", ".git/e.txt", ".hidden.txt" }) _folder.Write(name, name);
        Assert.Equal(["a.cs", "b.cs"], Load().Train.Select(document => document.Group));
        Assert.Equal(
            [".git/e.txt", ".hidden.txt", "a.cs", "bin/c.cs", "src/obj/d.cs"],
            Load(new TextFolderOptions(".", Exclude: ["b.cs"])).Train.Select(document => document.Group));
    }

    [Fact]
    public void Patterns_choose_files_by_name()
    {
        foreach (var name in new[] { "a1.log", "a2.log", "b1.log", "a1.txt" }) _folder.Write(name, name);
        Assert.Equal(["a1.log", "a2.log"], Load(new TextFolderOptions(".", ["a?.log"])).Train.Select(document => document.Group));
    }

    [Fact]
    public void Binary_and_blank_files_are_left_out_and_counted()
    {
        _folder.Write("a.txt", "text");
        _folder.Write("b.txt", "more");
        _folder.Write("c.txt", [0x4D, 0x5A, 0x00, 0xFF]);
        _folder.Write("d.txt", "\uFEFF \n");
        _folder.Write("e.txt", System.Text.Encoding.Unicode.GetBytes("sixteen bits"));
        var corpus = Load();
        Assert.Equal(["a.txt", "b.txt"], corpus.Train.Select(document => document.Group));
        Assert.Equal(new Dictionary<string, int> { ["binary file"] = 2, ["blank file"] = 1 }, corpus.Dropped);
    }

    [Fact]
    public void Files_that_are_not_in_the_encoding_are_left_out_and_counted()
    {
        for (var number = 1; number <= 3; number++) _folder.Write($"a{number}.cs", $"class A{number} {{ }}");
        _folder.Write("legacy.cs", [.. "// caf"u8, 0xE9, (byte)'\n']);
        var corpus = Load();
        Assert.Equal(["a1.cs", "a2.cs", "a3.cs"], corpus.Train.Select(document => document.Group));
        Assert.Equal(new Dictionary<string, int> { ["file that is not utf-8, such as legacy.cs"] = 1 }, corpus.Dropped);
    }

    [Theory]
    [InlineData("latin-1", new byte[] { 0x63, 0xE9, 0x80 }, "cé\u0080")]
    [InlineData("ISO-8859-1", new byte[] { 0xE9 }, "é")]
    [InlineData("windows-1252", new byte[] { 0x80, 0x93, 0xE9 }, "€“é")]
    [InlineData("windows-1251", new byte[] { 0xCF, 0xF0 }, "Пр")]
    [InlineData("shift_jis", new byte[] { 0x93, 0xFA, 0x96, 0x7B }, "日本")]
    [InlineData("gb18030", new byte[] { 0xD6, 0xD0 }, "中")]
    [InlineData("utf-16", new byte[] { 0x2D, 0x4E }, "中")]
    [InlineData("utf-16be", new byte[] { 0x4E, 0x2D }, "中")]
    [InlineData("utf-8", new byte[] { 0xFF, 0xFE, 0x2D, 0x4E }, "中")] // the mark says UTF-16
    [InlineData("latin-1", new byte[] { 0xFE, 0xFF, 0x4E, 0x2D }, "中")]
    [InlineData("utf8", new byte[] { 0xEF, 0xBB, 0xBF, 0xC3, 0xA9 }, "é")]
    public void Files_are_read_in_the_encoding_that_is_said(string encoding, byte[] bytes, string text)
    {
        _folder.Write("a.txt", bytes);
        Assert.Equal(text, Assert.Single(Load(new TextFolderOptions(".") { Encoding = encoding }).Train).Target);
    }

    [Theory]
    [InlineData("latin-9000")]
    [InlineData("utf-7")]
    [InlineData("")]
    public void An_unknown_encoding_is_refused(string encoding) => Assert.Equal(
        $"data.encoding is '{encoding}'; allowed: utf-8, utf-16, latin-1, windows-1252 and the other names of encodings that IANA lists",
        Assert.Throws<ArgumentException>(() => Load(new TextFolderOptions(".") { Encoding = encoding })).Message);

    [Fact]
    public void What_another_encoding_cannot_hold_is_named_too()
    {
        var path = _folder.Write("a.txt", [(byte)'a', 0x81, 0x20]);
        Assert.Equal(
            $"{path}: byte 0x81 at offset 1 of the file is not valid shift_jis; say the encoding (data.encoding), "
            + "such as latin-1 or windows-1252",
            Assert.Throws<InvalidDataException>(() => Load(new TextFolderOptions(".") { Encoding = "shift_jis" })).Message);
    }

    [Fact]
    public void A_byte_that_is_not_UTF8_is_named_with_file_line_and_offset()
    {
        var path = _folder.Write("a.txt", [(byte)'a', (byte)'\n', (byte)'\n', 0xE9, (byte)'t']);
        Assert.Equal(
            $"{path}:3: byte 0xE9 at offset 3 of the file is not valid UTF-8; say the encoding (data.encoding), such as latin-1 or windows-1252",
            Assert.Throws<InvalidDataException>(() => Load()).Message);
    }

    [Fact]
    public void A_folder_without_matching_files_or_no_folder_at_all_is_an_error()
    {
        _folder.Write("a.json", "{}");
        Assert.Equal(
            $"data.path: no file under {_folder.Path} matches *.cs, *.md, *.txt",
            Assert.Throws<InvalidDataException>(() => Load()).Message);
        var error = Assert.Throws<DirectoryNotFoundException>(() => Load(new TextFolderOptions("nowhere")));
        Assert.Equal($"data.path: there is no folder or file {Path.Combine(_folder.Path, "nowhere")}", error.Message);
    }

    [Fact]
    public void Linked_folders_are_not_followed()
    {
        _folder.Write("a.txt", "a");
        _folder.Write("sub/b.txt", "b");
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "sub", "up"), _folder.Path);
        Assert.Equal(["a.txt", "sub/b.txt"], Load().Train.Select(document => document.Group));
    }

    [Fact]
    public void One_document_is_cut_at_line_ends_into_its_beginning_and_its_end()
    {
        var text = string.Concat(Enumerable.Range(0, 1000).Select(i => $"line {i:D4}\n"));
        _folder.Write("book.txt", text);
        var corpus = (new TextFolderOptions("book.txt") { ValidationFraction = 0.1, TestFraction = 0.05 }).Load(_folder.Path);
        var (train, validation, test) = (corpus.Train.Single(), corpus.Validation.Single(), corpus.Test.Single());
        Assert.Equal(text, train.Target + validation.Target + test.Target);
        Assert.Equal((8500, 1000, 500), (train.Target.Length, validation.Target.Length, test.Target.Length));
        Assert.EndsWith("line 0849\n", train.Target, StringComparison.Ordinal);
        Assert.Equal(
            ["book.txt[0..8500]", "book.txt[8500..9500]", "book.txt[9500..10000]"],
            new[] { train, validation, test }.Select(part => part.Group));
    }

    [Fact]
    public void One_document_of_one_line_can_only_be_trained_on_whole()
    {
        _folder.Write("book.txt", "one line");
        Assert.Equal("one line", Load(new TextFolderOptions("book.txt")).Train.Single().Target);
        Assert.EndsWith(
            "set the fractions to 0",
            Assert.Throws<InvalidDataException>(() => new TextFolderOptions("book.txt").Load(_folder.Path)).Message,
            StringComparison.Ordinal);
    }
}

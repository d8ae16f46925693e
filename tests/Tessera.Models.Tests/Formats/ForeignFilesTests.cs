using System.Runtime.Versioning;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats;

/// <summary>Files under the names of models that are something else.</summary>
public sealed class ForeignFilesTests : IDisposable
{
    private const string Pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:abab\nsize 565832\n";
    private const string Llama = "families/llama-dynamic";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("config.json", Pointer, "config.json: is a pointer of Git LFS to a file of 565832 bytes, not JSON; ")]
    [InlineData("config.json", "<!DOCTYPE html>", "config.json: is an HTML page, not JSON; ")]
    [InlineData("model.safetensors", Pointer, "model.safetensors: is a pointer of Git LFS to a file of 565832 bytes, not a safetensors file; ")]
    [InlineData("model.safetensors", "GGUF\u0003\0\0\0", "model.safetensors: is a GGUF file, not a safetensors file")]
    [InlineData("model.safetensors", "PK\u0003\u0004", "model.safetensors: is a ZIP archive, as PyTorch saves weights, not a safetensors file, and can run code")]
    [InlineData("model.safetensors", "", "model.safetensors: is empty, not a safetensors file; download it again")]
    public void In_a_folder_they_are_said_to_be_what_they_are(string name, string text, string message)
    {
        foreach (var file in Directory.GetFiles(Fixture.Local(Llama))) File.Copy(file, _folder.File(Path.GetFileName(file)));
        File.WriteAllText(_folder.File(name), text);
        var error = Assert.Throws<InvalidDataException>(() => ModelFolder.Load(_folder.Path));
        Assert.StartsWith(Path.Combine(_folder.Path, message), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pointer_in_the_place_of_a_model_file_is_said_to_be_one()
    {
        File.WriteAllText(_folder.File("m.gguf"), Pointer);
        Assert.Contains("is a pointer of Git LFS", Assert.Throws<InvalidDataException>(() => ModelFolder.Load(_folder.File("m.gguf"))).Message, StringComparison.Ordinal);
        Assert.Contains(
            "is a pointer of Git LFS to a file of 565832 bytes, not a GGUF file",
            Assert.Throws<InvalidDataException>(() => TensorSource.Open(_folder.File("m.gguf"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_index_that_is_a_pointer_is_said_to_be_one_and_one_with_a_byte_order_mark_is_read()
    {
        var index = _folder.File("model.safetensors.index.json");
        File.WriteAllText(index, Pointer);
        Assert.Contains("is a pointer of Git LFS", Assert.Throws<InvalidDataException>(() => TensorSource.Open(_folder.Path)).Message, StringComparison.Ordinal);
        File.WriteAllText(index, "\uFEFF{\"weight_map\": {\"a\": \"model-00001-of-00001.safetensors\"}}");
        Assert.Contains("not all files of the index are there", Assert.Throws<FileNotFoundException>(() => TensorSource.Open(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_with_weights_of_another_program_says_how_to_come_by_safetensors()
    {
        File.Copy(Path.Combine(Fixture.Local(Llama), "config.json"), _folder.File("config.json"));
        File.WriteAllText(_folder.File("training_args.bin"), "PK");
        Assert.DoesNotContain("training_args", Message(), StringComparison.Ordinal);
        File.WriteAllText(_folder.File("pytorch_model-00001-of-00002.bin"), "PK");
        Assert.EndsWith(
            "; pytorch_model-00001-of-00002.bin is of another format: save the model as safetensors "
            + "(save_pretrained(folder, safe_serialization=True))", Message(), StringComparison.Ordinal);

        string Message() => Assert.Throws<FileNotFoundException>(() => ModelFolder.Load(_folder.Path)).Message;
    }

    [Fact]
    public void A_folder_that_is_no_model_says_which_models_are_in_it()
    {
        File.WriteAllText(_folder.File("b.gguf"), "");
        File.WriteAllText(_folder.File("a.gguf"), "");
        Assert.EndsWith(
            "there is no config.json; it has GGUF files, of which one is to be named: a.gguf, b.gguf",
            Assert.Throws<FileNotFoundException>(() => ModelFolder.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [UnprivilegedFact]
    [UnsupportedOSPlatform("windows")]
    public void A_folder_that_may_not_be_read_is_said_to_be_that()
    {
        var hidden = Directory.CreateDirectory(_folder.File("hidden"));
        File.WriteAllText(Path.Combine(hidden.FullName, "config.json"), "{}");
        foreach (var mode in (UnixFileMode[])[UnixFileMode.None, UnixFileMode.UserRead])
        {
            File.SetUnixFileMode(hidden.FullName, mode);
            try
            {
                var error = Assert.Throws<UnauthorizedAccessException>(() => ModelFolder.Load(hidden.FullName));
                Assert.Equal($"'{hidden.FullName}' may not be read: permission denied", error.Message);
                Assert.Throws<UnauthorizedAccessException>(() => TensorSource.Open(hidden.FullName));
            }
            finally
            {
                File.SetUnixFileMode(hidden.FullName, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }
    }

    [Fact]
    public void A_configuration_with_a_byte_order_mark_is_read()
    {
        File.WriteAllText(_folder.File("config.json"), "\uFEFF{\"model_type\": \"llama\"}");
        Assert.Equal("llama", HuggingFaceConfig.Load(_folder.File("config.json")).ModelType);
    }

    /// <summary>A test of what may not be read, which to the privileged is nothing.</summary>
    private sealed class UnprivilegedFactAttribute : FactAttribute
    {
        public UnprivilegedFactAttribute()
        {
            if (OperatingSystem.IsWindows() || Environment.IsPrivilegedProcess) Skip = "needs a user who may not read everything";
        }
    }
}

using System.Buffers.Binary;
using System.Text;
using CsCheck;
using Nephos.Hypervisor.Metadata;
using Xunit;

namespace Nephos.Services.Tests.Hypervisor;

public sealed class IsoImageTests
{
    private static readonly DateTimeOffset Created = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static readonly Gen<string> Name =
        Gen.Char["abcdefghijklmnopqrstuvwxyz0123456789_-."].Array[1, 40].Select(letters => "n" + new string(letters));

    [Fact]
    public void Whatever_is_written_is_read_back_by_its_long_name() =>
        Gen.Select(Name.Array[0, 3], Name, Gen.Byte.Array[0, 5000]).Array[0, 60].Sample(files =>
        {
            var image = new IsoImage("config-2", Created);
            var expected = new Dictionary<string, byte[]>();
            foreach (var (folders, name, body) in files)
            {
                // Folders and files have names of different kinds, so that no file stands where a folder is needed.
                var path = string.Concat(folders.Select(folder => $"d{folder}/")) + name;
                image.Add(path, body);
                expected[path] = body;
            }
            var read = Read(image.Write());
            Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), read.Keys.Order(StringComparer.Ordinal));
            Assert.All(expected, pair => Assert.Equal(pair.Value, read[pair.Key]));
        }, iter: 200);

    [Fact]
    public void The_label_stands_where_guests_look_for_it()
    {
        var image = new IsoImage("config-2", Created).Write();
        Assert.Equal("config-2", Encoding.ASCII.GetString(image, 32768 + 40, 8));
        Assert.Equal(0, image.Length % 2048);
    }

    [Fact]
    public void Plain_names_are_unique_in_their_folder()
    {
        var image = new IsoImage("config-2", Created);
        image.Add("a-b", [1]);
        image.Add("a_b", [2]);
        image.Add("A.B", [3]);
        image.Add(new string('x', 60), [4]);
        image.Add(new string('x', 61), [5]);
        var bytes = image.Write();
        var root = bytes.AsSpan((16 * 2048) + 156);
        var names = Records(bytes, BinaryPrimitives.ReadInt32LittleEndian(root[2..]), BinaryPrimitives.ReadInt32LittleEndian(root[10..]))
            .Select(record => Encoding.ASCII.GetString(record.Name)).ToList();
        Assert.Equal(5, names.Distinct().Count());
        Assert.All(names, name => Assert.Matches("^[A-Z0-9_]*\\.[A-Z0-9_]*;1$", name));
    }

    [Theory]
    [InlineData("a//b")]
    [InlineData("")]
    public void A_path_with_an_empty_name_is_refused(string path) =>
        Assert.Throws<ArgumentException>(() => new IsoImage("config-2", Created).Add(path, []));

    /// <summary>A reader of the Joliet tree that shares nothing with the writer.</summary>
    private static Dictionary<string, byte[]> Read(byte[] image)
    {
        var descriptor = image.AsSpan(17 * 2048);
        Assert.Equal(2, descriptor[0]);
        Assert.Equal(image.Length / 2048, BinaryPrimitives.ReadInt32LittleEndian(descriptor[80..]));
        var files = new Dictionary<string, byte[]>();
        Walk(BinaryPrimitives.ReadInt32LittleEndian(descriptor[158..]), BinaryPrimitives.ReadInt32LittleEndian(descriptor[166..]), "");
        return files;

        void Walk(int sector, int bytes, string prefix)
        {
            foreach (var (name, at, length, folder) in Records(image, sector, bytes))
            {
                var path = prefix + Encoding.BigEndianUnicode.GetString(name);
                if (folder)
                {
                    Walk(at, length, path + "/");
                }
                else
                {
                    files.Add(path, image.AsSpan(at * 2048, length).ToArray());
                }
            }
        }
    }

    private static List<(byte[] Name, int Sector, int Bytes, bool Folder)> Records(byte[] image, int sector, int bytes)
    {
        var records = new List<(byte[], int, int, bool)>();
        for (var at = sector * 2048; at < (sector * 2048) + bytes;)
        {
            var record = image.AsSpan(at);
            if (record[0] == 0)
            {
                at = (at / 2048 * 2048) + 2048;
                continue;
            }
            Assert.Equal(BinaryPrimitives.ReadInt32LittleEndian(record[2..]), BinaryPrimitives.ReadInt32BigEndian(record[6..]));
            var name = record.Slice(33, record[32]).ToArray();
            if (name is not ([0] or [1]))
            {
                records.Add((name, BinaryPrimitives.ReadInt32LittleEndian(record[2..]), BinaryPrimitives.ReadInt32LittleEndian(record[10..]), (record[25] & 2) != 0));
            }
            at += record[0];
        }
        return records;
    }
}

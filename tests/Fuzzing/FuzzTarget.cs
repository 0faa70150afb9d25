using System.Text;

namespace Nephos.Fuzzing;

/// <summary>Something that reads what strangers send.</summary>
internal abstract class FuzzTarget
{
    /// <summary>As the command line names it.</summary>
    public abstract string Name { get; }

    /// <summary>What it reads, in a few words.</summary>
    public abstract string About { get; }

    /// <summary>Texts that mean something to the reader; mutations put them anywhere.</summary>
    public abstract IReadOnlyList<byte[]> Words { get; }

    /// <summary>Processor time that one input may take.</summary>
    public virtual TimeSpan Limit => TimeSpan.FromMilliseconds(50);

    /// <summary>The longest input that is tried.</summary>
    public virtual int BytesMax => 16 * 1024;

    /// <summary>An input that the reader understands, or nearly: mutations go on from here, so that they get past its first check.</summary>
    public abstract byte[] Make(Random random);

    /// <summary>What must be right again after a mutation, for example a checksum, to get any further. Not called for every input.</summary>
    public virtual void Repair(byte[] input)
    {
    }

    /// <summary>Reads one input. What the reader refuses as it should is no exception here.</summary>
    public abstract void Run(byte[] input);

    protected static byte[][] WordsOf(params string[] words) => [.. words.Select(Encoding.UTF8.GetBytes)];

    /// <summary>One of several, each as likely.</summary>
    protected static T Pick<T>(Random random, params ReadOnlySpan<T> items) => items[random.Next(items.Length)];
}

using System.ComponentModel;
using System.Runtime.ExceptionServices;
using Microsoft.Win32.SafeHandles;

namespace Nephos.Hypervisor.Network.Namespaces;

/// <summary>A named network namespace below /run/netns, in the form that <c>ip netns</c> uses too.</summary>
/// <remarks>A namespace belongs to a thread, so work inside one runs on a thread of its own that enters it and ends. What is opened
/// there (sockets, taps, rule-set contexts) stays in the namespace and may be used from any thread afterwards.</remarks>
internal sealed class NetworkNamespace : IDisposable
{
    public const string Folder = "/run/netns";

    private readonly SafeFileHandle _handle;

    private NetworkNamespace(string name, string path, SafeFileHandle handle) => (Name, Path, _handle) = (name, path, handle);

    /// <summary>Empty for the namespace the process itself is in.</summary>
    public string Name { get; }

    public string Path { get; }

    /// <summary>For netlink messages that name a namespace.</summary>
    public int Descriptor => (int)_handle.DangerousGetHandle();

    /// <summary>The namespace of this process.</summary>
    public static NetworkNamespace OpenOwn() => new("", "/proc/self/ns/net", LibC.Open("/proc/self/ns/net", LibC.OpenReadOnly));

    /// <summary>The namespace of the calling thread.</summary>
    public static NetworkNamespace OpenOwnThread() => new("", "/proc/thread-self/ns/net", LibC.Open("/proc/thread-self/ns/net", LibC.OpenReadOnly));

    /// <exception cref="Win32Exception">There is none with this name.</exception>
    public static NetworkNamespace Open(string name)
    {
        var path = $"{Folder}/{name}";
        return new NetworkNamespace(name, path, LibC.Open(path, LibC.OpenReadOnly));
    }

    /// <summary>A second handle of the same namespace.</summary>
    public NetworkNamespace Reopen() => new(Name, Path, LibC.Open($"/proc/self/fd/{Descriptor}", LibC.OpenReadOnly));

    /// <summary>Whether both are the same namespace: one that was deleted and made again is not.</summary>
    public bool IsSame(NetworkNamespace other) => Identity() == other.Identity();

    public static bool Exists(string name) => Names().Contains(name);

    /// <summary>Opens the namespace and makes it first when it is missing. A file of that name without a namespace behind it
    /// (left by a crash between the two steps) is replaced.</summary>
    /// <exception cref="Win32Exception">The rights are missing.</exception>
    public static NetworkNamespace OpenOrCreate(string name, out bool created)
    {
        created = false;
        if (Exists(name))
        {
            return Open(name);
        }

        ShareFolder();
        var path = $"{Folder}/{name}";
        if (File.Exists(path))
        {
            Delete(name);
        }

        using (File.Create(path))
        {
        }

        RunOnThread(() =>
        {
            if (LibC.Unshare(LibC.CloneNewNet) != 0)
            {
                throw LibC.Error("unshare a network namespace");
            }

            if (LibC.Mount("/proc/thread-self/ns/net", path, null, LibC.MountBind, 0) != 0)
            {
                throw LibC.Error($"mount {path}");
            }

            return 0;
        });
        created = true;
        return Open(name);
    }

    /// <summary>Takes the name away. The namespace itself ends with the last process and handle in it.</summary>
    public static void Delete(string name)
    {
        var path = $"{Folder}/{name}";
        while (LibC.Unmount(path, LibC.UnmountDetach) == 0)
        {
        }

        File.Delete(path);
    }

    /// <summary>Names that have a namespace behind them.</summary>
    public static IReadOnlyList<string> Names()
    {
        if (!Directory.Exists(Folder))
        {
            return [];
        }

        // A plain file left by a crash has no mount: the table of mounts tells them apart.
        return [.. File.ReadLines("/proc/self/mountinfo")
            .Select(line => line.Split(' '))
            .Where(fields => fields.Length > 4 && fields[4].StartsWith(Folder + "/", StringComparison.Ordinal))
            .Select(fields => fields[4][(Folder.Length + 1)..])
            .Distinct()];
    }

    /// <summary>Runs inside the namespace, on a thread of its own; returns when it is done.</summary>
    public T Run<T>(Func<T> work) => RunOnThread(() =>
    {
        if (LibC.SetNamespace(_handle, LibC.CloneNewNet) != 0)
        {
            throw LibC.Error($"enter network namespace {Path}");
        }

        return work();
    });

    public void Run(Action work) => Run(() =>
    {
        work();
        return 0;
    });

    /// <summary>Sets a kernel parameter of this namespace, for example <c>net/ipv4/ip_forward</c>. Writes only what differs.</summary>
    public void SetParameters(params IReadOnlyList<(string Path, string Value)> parameters) => Run(() =>
    {
        foreach (var (path, value) in parameters)
        {
            var file = "/proc/sys/" + path;
            if (File.ReadAllText(file).Trim() != value)
            {
                File.WriteAllText(file, value);
            }
        }
    });

    public void Dispose() => _handle.Dispose();

    private string Identity() => new FileInfo($"/proc/self/fd/{Descriptor}").LinkTarget ?? "";

    private static T RunOnThread<T>(Func<T> work)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                result = work();
            }
            catch (Exception error)
            {
                failure = ExceptionDispatchInfo.Capture(error);
            }
        }, maxStackSize: 256 * 1024)
        {
            IsBackground = true,
            Name = "netns",
        };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }

    private static void ShareFolder()
    {
        Directory.CreateDirectory(Folder);
        if (LibC.Mount("", Folder, "none", LibC.MountShared | LibC.MountRecursive, 0) == 0)
        {
            return;
        }

        // Not a mount point yet: make it one, so that mounts in it are seen by all.
        if (LibC.Mount(Folder, Folder, "none", LibC.MountBind | LibC.MountRecursive, 0) != 0
            || LibC.Mount("", Folder, "none", LibC.MountShared | LibC.MountRecursive, 0) != 0)
        {
            throw LibC.Error($"share {Folder}");
        }
    }
}

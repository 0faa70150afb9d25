using System.Text.RegularExpressions;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.State.Backup;
using Wire = Nephos.Protos.Host.V1;

namespace Nephos.Hosting.StatusPages;

/// <summary>Copies of the state store, made while it is used. They stay in the state directory: whoever may read that takes them from there.</summary>
internal sealed partial class StateBackupsGrpcService(IStateStore store, NephosOptions options, TimeProvider time) : Wire.StateBackups.StateBackupsBase
{
    public override async Task<Wire.StateBackup> CreateStateBackup(Wire.CreateStateBackupRequest request, ServerCallContext context)
    {
        context.GetOperation().RequireAdmin("copy the state store");
        if (!Name().IsMatch(request.Name))
        {
            throw Faults.Invalid("name", "must be 1 to 64 letters, digits, dots and dashes, and begin with a letter or digit");
        }
        if (store is not IStateBackup backup)
        {
            throw Faults.Conflict("The state store of this process is not embedded; back up etcd with etcdctl snapshot save.");
        }
        var folder = Path.Combine(options.StateDirectory, "backups", request.Name);
        if (Directory.Exists(folder))
        {
            throw Faults.AlreadyExists("Backup", request.Name);
        }
        var copy = await StateCopy.MakeAsync(backup, folder, time, context.CancellationToken);
        return new Wire.StateBackup { Folder = folder, Revision = copy.Revision, SizeBytes = copy.Files.Values.Sum(file => file.SizeBytes) };
    }

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$")]
    private static partial Regex Name();
}
